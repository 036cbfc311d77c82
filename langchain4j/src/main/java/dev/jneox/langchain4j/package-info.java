/**
 * Adapts {@link dev.jneox.Jneox} to LangChain4j's interfaces: chats, texts, and counts of tokens,
 * by a model in this process.
 */
package dev.jneox.langchain4j;
