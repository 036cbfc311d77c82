package dev.jneox.template;

import java.util.List;

/**
 * Is what the methods keys, values and items of a dict return: it has a length but no indices.
 *
 * @param name keys, values or items
 */
record View(String name, List<Object> elements) {}
