/**
 * Renders chat templates: a conversation as the text that a model was trained on. {@link
 * dev.jneox.template.ChatTemplates} finds the templates that a model came with, {@link
 * dev.jneox.template.ChatTemplate} renders one. The language is the part of Jinja that HF
 * transformers gives to chat templates, and renders as it does there. {@link
 * dev.jneox.template.TextTemplate} renders the texts of evaluation tasks, by the settings of
 * lm-evaluation-harness.
 */
@NullMarked
package dev.jneox.template;

import org.jspecify.annotations.NullMarked;
