/** Adapts {@link dev.jneox.Jneox} to Spring AI's interface of chats, by a model in this process. */
package dev.jneox.springai;
