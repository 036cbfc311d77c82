#!/usr/bin/env python3
"""OpenAI's client for Python against `jneox serve`.

    openai_client.py MODEL

MODEL is a folder or file with a tokenizer, `jneox synth` writes one. Prints a line for each check, and exits with 1 at the first that
fails. Needs the packages openai and jsonschema:
    python3 -m venv venv && venv/bin/pip install openai jsonschema
Exits with 3 when they are missing.
"""
import json
import sys

from served import served

try:
    import jsonschema
    import openai
except ImportError as e:
    print(f"SKIPPED, NOT MEASURED: {e}; pip install openai jsonschema", file=sys.stderr)
    sys.exit(3)

SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 8}, "age": {"type": "integer", "minimum": 0, "maximum": 120}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
USER = [{"role": "user", "content": "int max"}]
USAGE = {"include_usage": True}


def check(what, holds):
    print(f"{what}: {'ok' if holds else 'FAILED'}", flush=True)
    if not holds:
        sys.exit(1)


def completions(client):
    asked = dict(model="peer", prompt="int max(int a", max_tokens=8, n=2, seed=1)
    whole = client.completions.create(**asked, logprobs=2, echo=True)
    lists = whole.choices[0].logprobs
    check("completions", len(whole.choices) == 2 and whole.choices[0].text.startswith("int max(int a"))
    check("log-probabilities of an echo", lists.token_logprobs[0] is None and len(lists.tokens) == len(lists.token_logprobs)
          and len(lists.tokens) == whole.usage.prompt_tokens + 8)
    events = list(client.completions.create(**asked, echo=True, stream=True, stream_options=USAGE))
    texts = ["".join(c.text for e in events for c in e.choices if c.index == i) for i in range(2)]
    check("stream of completions", texts == [c.text for c in whole.choices])
    check("usage of the stream", events[-1].usage.total_tokens == whole.usage.total_tokens)
    held = client.completions.create(model="peer", prompt="x", max_tokens=40, extra_body={"guided_regex": "[a-c]{3}-[0-9]{1,3}x"})
    check("completions of a form", held.choices[0].finish_reason == "stop" and held.choices[0].text[3] == "-")


def chats(client):
    asked = dict(model="peer", messages=[{"role": "system", "content": "short"}, *USER], max_tokens=8, seed=3)
    whole = client.chat.completions.create(**asked, logprobs=True, top_logprobs=2)
    check("chat", bool(whole.choices[0].message.content) and len(whole.choices[0].logprobs.content[0].top_logprobs) == 2)
    events = list(client.chat.completions.create(**asked, stream=True, stream_options=USAGE))
    text = "".join(e.choices[0].delta.content or "" for e in events if e.choices)
    check("stream of chat", text == whole.choices[0].message.content)
    check("usage of the stream", events[-1].usage.completion_tokens == whole.usage.completion_tokens)
    response_format = {"type": "json_schema", "json_schema": {"name": "person", "strict": True, "schema": SCHEMA}}
    ended = 0
    for seed in range(8):
        choice = client.chat.completions.create(
            model="peer", messages=USER, max_tokens=200, seed=seed, temperature=2, response_format=response_format).choices[0]
        if choice.finish_reason == "stop":
            jsonschema.validate(json.loads(choice.message.content), SCHEMA)
            ended += 1
    check(f"structured output ({ended} of 8 answers ended)", ended > 0)


def tools(client):
    asked = dict(
        model="peer", messages=USER, max_tokens=200, temperature=2, seed=1, tool_choice="required",
        tools=[{"type": "function", "function": {"name": "greet", "parameters": SCHEMA}}])
    try:
        choice = client.chat.completions.create(**asked).choices[0]
    except openai.BadRequestError as e:
        check("tools are refused by a model whose template has none", e.param == "tools")
        return
    check("tools", choice.finish_reason == "length" or choice.message.tool_calls[0].function.name == "greet")


def responses(client):
    asked = dict(model="peer", input="int max", instructions="short", max_output_tokens=8, temperature=0)
    whole = client.responses.create(**asked)
    text, last = "", None
    for event in client.responses.create(**asked, stream=True):
        if event.type == "response.output_text.delta":
            text += event.delta
        last = event
    check("responses", whole.output_text and whole.usage.output_tokens > 0)
    check("stream of responses", text == whole.output_text and last.response.usage == whole.usage)


def embeddings(client):
    found = client.embeddings.create(model="peer", input=["int max", "static int"])
    plain = client.embeddings.create(model="peer", input=["int max", "static int"], encoding_format="float")
    check("embeddings", len(found.data) == 2 and abs(sum(x * x for x in found.data[1].embedding) - 1) < 1e-4)
    check("embeddings as base64 and as floats",
          all(abs(a - b) < 1e-7 for x, y in zip(found.data, plain.data) for a, b in zip(x.embedding, y.embedding)))


def errors(client):
    for request, kind, param in [
        (dict(model="nope", prompt="x"), openai.NotFoundError, "model"),
        (dict(model="peer", prompt=[7] * 9, max_tokens=10**6), openai.BadRequestError, "prompt"),
        (dict(model="peer", prompt="x", temperature=-1), openai.BadRequestError, "temperature"),
        (dict(model="peer", prompt="x", suffix="y"), openai.BadRequestError, "suffix"),
    ]:
        try:
            client.completions.create(**request)
            found = None
        except openai.APIStatusError as e:
            found = e
        check(f"error of {param}", isinstance(found, kind) and found.param == param)


def main():
    with served(sys.argv[1]) as url:
        client = openai.OpenAI(base_url=url, api_key="none", max_retries=0)
        check("models", [m.id for m in client.models.list()] == ["peer"] and client.models.retrieve("peer").id == "peer")
        for part in (completions, chats, tools, responses, embeddings, errors):
            part(client)
        with client.completions.create(model="peer", prompt="x", max_tokens=200, stream=True) as stream:
            next(iter(stream))
        check("an answer after a stream that was left", client.completions.create(model="peer", prompt="x", max_tokens=1).choices[0])


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main()
