package dev.jneox;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.source.tree.ClassTree;
import com.sun.source.tree.CompilationUnitTree;
import com.sun.source.tree.MethodTree;
import com.sun.source.tree.ModifiersTree;
import com.sun.source.tree.Tree;
import com.sun.source.tree.VariableTree;
import com.sun.source.util.DocTrees;
import com.sun.source.util.JavacTask;
import com.sun.source.util.TreePath;
import com.sun.source.util.TreePathScanner;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;
import javax.lang.model.element.Modifier;
import javax.tools.JavaCompiler;
import javax.tools.StandardJavaFileManager;
import javax.tools.ToolProvider;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** Checks that every public and protected member of the documented packages has a comment. */
class DocumentedTest {
  /** The packages that pom.xml names for doclint. */
  private static final List<String> PACKAGES =
      List.of(
          "io",
          "model",
          "weights",
          "format",
          "convert",
          "hub",
          "tokenizer",
          "template",
          "kernel",
          "infer",
          "grammar",
          "data",
          "torch",
          "train",
          "dist",
          "eval",
          "corpus");

  @Tag("slow")
  @Test
  void everyPublicMemberHasAComment() throws IOException {
    List<Path> sources =
        Stream.concat(
                Stream.of("core", "data", "torch", "train", "research", "corpus")
                    .map(module -> Path.of("..", module, "src/main/java/dev/jneox"))
                    .flatMap(root -> PACKAGES.stream().map(root::resolve))
                    .filter(Files::isDirectory)
                    .flatMap(folder -> sources(folder, Integer.MAX_VALUE)),
                sources(Path.of("../core/src/main/java/dev/jneox"), 1))
            .toList();
    JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
    List<String> missing = new ArrayList<>();
    try (StandardJavaFileManager files = compiler.getStandardFileManager(null, null, null)) {
      JavacTask task =
          (JavacTask)
              compiler.getTask(
                  null, files, null, null, null, files.getJavaFileObjectsFromPaths(sources));
      DocTrees comments = DocTrees.instance(task);
      for (CompilationUnitTree unit : task.parse()) {
        new Members(comments, unit, missing).scan(unit, null);
      }
    }
    assertThat(sources).hasSizeGreaterThan(150);
    assertThat(missing).isEmpty();
  }

  private static Stream<Path> sources(Path folder, int depth) {
    try (Stream<Path> files = Files.walk(folder, depth)) {
      return files.filter(file -> file.toString().endsWith(".java")).toList().stream();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Visits the members that another package can see. */
  private static final class Members extends TreePathScanner<Void, Void> {
    private final DocTrees comments;
    private final CompilationUnitTree unit;
    private final List<String> missing;

    Members(DocTrees comments, CompilationUnitTree unit, List<String> missing) {
      this.comments = comments;
      this.unit = unit;
      this.missing = missing;
    }

    @Override
    public Void visitClass(ClassTree type, Void none) {
      if (!isVisible(type.getModifiers())) {
        return null;
      }
      check(type.getSimpleName().toString());
      return super.visitClass(type, none);
    }

    @Override
    public Void visitMethod(MethodTree method, Void none) {
      boolean overrides =
          method.getModifiers().getAnnotations().stream()
              .anyMatch(annotation -> annotation.getAnnotationType().toString().equals("Override"));
      if (isVisible(method.getModifiers()) && !overrides) {
        check(method.getName().toString());
      }
      return null;
    }

    @Override
    public Void visitVariable(VariableTree field, Void none) {
      boolean component = getCurrentPath().getParentPath().getLeaf().getKind() == Tree.Kind.RECORD;
      if (isVisible(field.getModifiers())
          && !(component && !field.getModifiers().getFlags().contains(Modifier.STATIC))) {
        check(field.getName().toString());
      }
      return null;
    }

    /** Returns whether a member is public or protected; those of an interface are. */
    private boolean isVisible(ModifiersTree modifiers) {
      Set<Modifier> flags = modifiers.getFlags();
      TreePath parent = getCurrentPath().getParentPath();
      boolean inInterface = parent.getLeaf().getKind() == Tree.Kind.INTERFACE;
      return flags.contains(Modifier.PUBLIC)
          || flags.contains(Modifier.PROTECTED)
          || inInterface && !flags.contains(Modifier.PRIVATE);
    }

    private void check(String name) {
      if (comments.getDocComment(getCurrentPath()) == null) {
        missing.add(unit.getSourceFile().getName() + ": " + name);
      }
    }
  }
}
