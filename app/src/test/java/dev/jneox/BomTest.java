package dev.jneox;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import javax.xml.parsers.DocumentBuilderFactory;
import org.junit.jupiter.api.Test;
import org.w3c.dom.Document;
import org.w3c.dom.Element;
import org.w3c.dom.Node;
import org.w3c.dom.NodeList;

/** Holds the BOM and the root POM together, which repeat each other's versions. */
class BomTest {
  private static Element read(String file) throws Exception {
    Document document =
        DocumentBuilderFactory.newInstance()
            .newDocumentBuilder()
            .parse(Path.of("..", file).toFile());
    return document.getDocumentElement();
  }

  private static List<Element> children(Element parent) {
    List<Element> children = new ArrayList<>();
    for (Node node = parent.getFirstChild(); node != null; node = node.getNextSibling()) {
      if (node instanceof Element child) {
        children.add(child);
      }
    }
    return children;
  }

  private static Element child(Element parent, String name) {
    return children(parent).stream()
        .filter(child -> child.getTagName().equals(name))
        .findFirst()
        .orElseThrow(() -> new AssertionError("no " + name + " in " + parent.getTagName()));
  }

  @Test
  void versionsAreThoseOfTheBuild() throws Exception {
    Element bom = read("bom/pom.xml");
    Element root = read("pom.xml");
    assertThat(child(bom, "version").getTextContent())
        .isEqualTo(child(root, "version").getTextContent());
    List<Element> versions = children(child(bom, "properties"));
    assertThat(versions).isNotEmpty();
    for (Element version : versions) {
      assertThat(version.getTextContent())
          .as(version.getTagName())
          .isEqualTo(child(child(root, "properties"), version.getTagName()).getTextContent());
    }
  }

  @Test
  void everyModuleForUsersIsManaged() throws Exception {
    List<String> modules =
        new ArrayList<>(
            children(child(read("pom.xml"), "modules")).stream()
                .map(Element::getTextContent)
                .toList());
    modules.removeAll(List.of("bom", "bench"));
    NodeList artifacts = read("bom/pom.xml").getElementsByTagName("artifactId");
    List<String> managed = new ArrayList<>();
    for (int i = 0; i < artifacts.getLength(); i++) {
      managed.add(artifacts.item(i).getTextContent());
    }
    assertThat(managed).containsAll(modules);
  }
}
