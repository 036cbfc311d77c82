package dev.jneox.template;

import java.util.Iterator;

/** Is what filters such as map and select return: elements that are read once, without a length. */
record Generator(Iterator<Object> elements) {}
