#!/usr/bin/env python3
"""LangChain's client of OpenAI's API for Python against `jneox serve`.

    langchain_client.py MODEL

MODEL is a folder or file with a tokenizer, `jneox synth` writes one. Prints a line for each check, and exits with 1 at the first that
fails. Needs the package langchain-openai:
    python3 -m venv venv && venv/bin/pip install langchain-openai
Exits with 3 when it is missing.
"""
import sys

from served import served

try:
    import openai
    from langchain_openai import ChatOpenAI, OpenAI, OpenAIEmbeddings
except ImportError as e:
    print(f"SKIPPED, NOT MEASURED: {e}; pip install langchain-openai", file=sys.stderr)
    sys.exit(3)

SCHEMA = {
    "title": "answer",
    "description": "A word and whether it is right.",
    "type": "object",
    "properties": {"word": {"enum": ["yes", "no"]}, "right": {"type": "boolean"}},
    "required": ["word", "right"],
    "additionalProperties": False,
}


def check(what, holds):
    print(f"{what}: {'ok' if holds else 'FAILED'}", flush=True)
    if not holds:
        sys.exit(1)


def main():
    with served(sys.argv[1]) as url:
        server = dict(model="peer", base_url=url, api_key="none", max_retries=0)
        chat = ChatOpenAI(**server, temperature=0, max_tokens=12, stream_usage=True)
        messages = [("system", "short"), ("human", "int max")]
        whole = chat.invoke(messages)
        check("chat", whole.content and whole.usage_metadata["output_tokens"] > 0)
        parts = list(chat.stream(messages))
        check("stream of chat", "".join(p.content for p in parts) == whole.content)
        streamed = sum(p.usage_metadata["output_tokens"] for p in parts if p.usage_metadata)
        check("usage of the stream", streamed == whole.usage_metadata["output_tokens"])
        text = OpenAI(**server, temperature=0, max_tokens=12)
        answer = text.invoke("int max(int a")
        check("completions", bool(answer))
        check("stream of completions", "".join(text.stream("int max(int a")) == answer)
        check("a batch of completions", text.batch(["int max(int a"] * 3) == [answer] * 3)
        # Texts, not ids of OpenAI's own tokenizer.
        vectors = OpenAIEmbeddings(**server, check_embedding_ctx_length=False).embed_documents(["int max", "static int"])
        check("embeddings", len(vectors) == 2 and abs(sum(x * x for x in vectors[0]) - 1) < 1e-4)
        held = ChatOpenAI(**server, temperature=1, max_tokens=100, seed=1)
        found = held.with_structured_output(SCHEMA, method="json_schema", strict=True).invoke(messages)
        check("structured output", found["word"] in ("yes", "no") and isinstance(found["right"], bool))
        try:
            called = held.bind_tools([SCHEMA], tool_choice="required").invoke(messages)
            check("tools", called.tool_calls[0]["name"] == "answer" and called.tool_calls[0]["args"]["word"] in ("yes", "no"))
        except openai.BadRequestError as e:
            check("tools are refused by a model whose template has none", e.param == "tools")
        responses = ChatOpenAI(**server, temperature=0, max_tokens=12, use_responses_api=True)
        check("responses", responses.invoke(messages).text == whole.content)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main()
