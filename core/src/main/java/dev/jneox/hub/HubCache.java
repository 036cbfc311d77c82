package dev.jneox.hub;

import dev.jneox.io.AtomicFile;
import dev.jneox.io.FolderFiles;
import dev.jneox.io.InputException;
import dev.jneox.io.JneoxException;
import dev.jneox.io.StorageException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.UUID;

/**
 * Manages the folder of downloaded models, in the layout of huggingface_hub:
 *
 * <pre>
 *   models--ORG--NAME/
 *     blobs/HASH                      the content of a file, complete
 *     blobs/HASH.jneox.incomplete     the beginning of one
 *     snapshots/COMMIT/path/of/file   -> ../../../../blobs/HASH
 *     refs/REVISION                   the last known commit of a branch or tag
 *     trees/COMMIT.json               all files of the commit, which show what a snapshot lacks
 *   .locks/models--ORG--NAME/HASH.lock
 * </pre>
 */
final class HubCache {
  private static final String TAG = "CACHEDIR.TAG";

  /** The content by which backup programs recognise a cache directory. */
  private static final String TAG_TEXT =
      "Signature: 8a477f597d28d172789f06886806bc55\n# Models fetched from a hub; may be deleted.\n";

  private static final long MAX_TREE = 64 << 20;

  private final Path root;

  HubCache(Path root) {
    this.root = root;
  }

  private Path repository(HubName name) {
    return root.resolve(name.folder());
  }

  Path snapshot(HubName name, String commit) {
    return repository(name).resolve("snapshots").resolve(commit);
  }

  Path blob(HubName name, HubFile file) {
    return repository(name).resolve("blobs").resolve(file.blob());
  }

  Path lock(HubName name, HubFile file) {
    return root.resolve(".locks").resolve(name.folder()).resolve(file.blob() + ".lock");
  }

  /** Returns the commit that the name's revision had when the hub was last asked. */
  Optional<String> commit(HubName name) {
    if (name.isCommit()) {
      return Optional.of(name.revision());
    }
    Path ref = repository(name).resolve("refs").resolve(name.revision());
    try {
      if (!Files.isRegularFile(ref) || Files.size(ref) > 1000) {
        return Optional.empty();
      }
      String commit = Files.readString(ref, StandardCharsets.ISO_8859_1).strip();
      return HubName.isCommit(commit) ? Optional.of(commit) : Optional.empty();
    } catch (IOException e) {
      throw StorageException.of(ref, "cannot be read", e);
    }
  }

  /** Creates the folders and stores the listing and the revision. */
  void remember(HubName name, HubListing listing) throws InterruptedException {
    try (BlobLock _ = own()) {
      Files.createDirectories(repository(name).resolve("blobs"));
      Files.createDirectories(snapshot(name, listing.commit()));
      if (!Files.exists(root.resolve(TAG))) {
        AtomicFile.write(root.resolve(TAG), TAG_TEXT.getBytes(StandardCharsets.US_ASCII));
      }
      Path tree = tree(name, listing.commit());
      if (listing.isComplete() && !Files.exists(tree)) {
        AtomicFile.write(tree, listing.remember());
      }
    } catch (IOException e) {
      throw new StorageException(
          root,
          "the cache cannot be written",
          AtomicFile.reason(e) + "; choose another with --cache or HF_HOME",
          e);
    }
  }

  /** Stores {@code commit} as the target of the name's branch or tag. */
  void point(HubName name, String commit) throws InterruptedException {
    if (!name.isCommit() && !commit(name).equals(Optional.of(commit))) {
      try (BlobLock _ = own()) {
        AtomicFile.write(
            repository(name).resolve("refs").resolve(name.revision()),
            commit.getBytes(StandardCharsets.US_ASCII));
      }
    }
  }

  /** Locks the small files, which two processes must not write at once. */
  private BlobLock own() throws InterruptedException {
    return BlobLock.take(root.resolve(".locks").resolve("jneox.lock"), () -> {});
  }

  /** Returns the stored listing of a commit. */
  Optional<HubListing> listing(HubName name, String commit) {
    Path tree = tree(name, commit);
    try {
      return Files.isRegularFile(tree) && Files.size(tree) <= MAX_TREE
          ? Optional.of(HubListing.recall(Files.readAllBytes(tree), commit, tree.toString()))
          : Optional.empty();
    } catch (IOException | JneoxException e) {
      // The listing only saves a request; another program may have written another form.
      return Optional.empty();
    }
  }

  /** Lists the files of a snapshot that has no stored listing. */
  HubListing found(HubName name, String commit) {
    Path snapshot = snapshot(name, commit);
    try {
      List<HubFile> files = new ArrayList<>();
      for (Path path : FolderFiles.deep(snapshot)) {
        files.add(
            new HubFile(
                snapshot.relativize(path).toString().replace('\\', '/'),
                Files.size(path),
                Optional.empty(),
                Optional.empty()));
      }
      return new HubListing(commit, files);
    } catch (IOException e) {
      throw StorageException.of(snapshot, "cannot be read", e);
    }
  }

  private Path tree(HubName name, String commit) {
    return repository(name).resolve("trees").resolve(commit + ".json");
  }

  /** Returns whether the snapshot has the file with its expected size. */
  boolean has(HubName name, String commit, HubFile file) {
    return isWhole(snapshot(name, commit).resolve(file.name()), file);
  }

  boolean hasBlob(HubName name, HubFile file) {
    return isWhole(blob(name, file), file);
  }

  private static boolean isWhole(Path path, HubFile file) {
    try {
      return Files.isRegularFile(path) && (file.size() < 0 || Files.size(path) == file.size());
    } catch (IOException e) {
      return false;
    }
  }

  /** Links a complete blob into the snapshot. */
  void link(HubName name, String commit, HubFile file) {
    Path snapshot = snapshot(name, commit);
    Path pointer = snapshot.resolve(file.name()).normalize();
    Path blob = blob(name, file);
    try {
      if (!pointer.startsWith(snapshot)) {
        throw new InputException(
            snapshot + ": expected a file within it, found \"" + file.name() + "\"");
      }
      Path folder = Objects.requireNonNull(pointer.getParent());
      folders(snapshot, folder);
      Path partial =
          pointer.resolveSibling(
              "." + pointer.getFileName() + "." + UUID.randomUUID() + ".partial");
      try {
        Files.createSymbolicLink(partial, folder.relativize(blob));
      } catch (UnsupportedOperationException | FileSystemException e) {
        // Windows allows links to a file itself where it does not allow symbolic ones.
        Files.createLink(partial, blob);
      }
      Files.move(partial, pointer, StandardCopyOption.ATOMIC_MOVE);
    } catch (IOException e) {
      throw StorageException.of(pointer, "cannot be written", e);
    }
  }

  /** Creates folders within the snapshot and rejects links, which could lead out of it. */
  private static void folders(Path snapshot, Path folder) throws IOException {
    if (!folder.equals(snapshot)) {
      folders(snapshot, Objects.requireNonNull(folder.getParent()));
      try {
        Files.createDirectory(folder);
      } catch (FileAlreadyExistsException e) {
        if (!Files.isDirectory(folder, LinkOption.NOFOLLOW_LINKS)) {
          throw InputException.in(
              snapshot,
              snapshot.relativize(folder).toString(),
              "a folder",
              "something else: delete it");
        }
      }
    }
  }

  /**
   * Lists what a snapshot of a model lacks. With a stored listing, that is every selected file that
   * is not complete. Without one (older versions of huggingface_hub store none), it is a
   * configuration, weights, or a file that the weight index names.
   */
  List<String> missing(HubName name, String commit, Selection selection) {
    Path snapshot = snapshot(name, commit);
    if (!Files.isDirectory(snapshot)) {
      return List.of("everything");
    }
    List<String> missing = new ArrayList<>();
    listing(name, commit)
        .ifPresent(
            listing -> {
              for (HubFile file : selection.of(listing.files()).chosen()) {
                if (!has(name, commit, file)) {
                  missing.add(file.name());
                }
              }
            });
    if (missing.isEmpty() && selection.isModel()) {
      missing.addAll(SnapshotParts.missing(snapshot));
    }
    return missing;
  }
}
