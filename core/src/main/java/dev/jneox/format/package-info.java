/**
 * Opens models of every format: {@link dev.jneox.format.ModelFiles} tells the formats apart, each
 * of which has a package below this one. {@link dev.jneox.format.Manifest} lists the files of a
 * folder with checksums.
 */
@NullMarked
package dev.jneox.format;

import org.jspecify.annotations.NullMarked;
