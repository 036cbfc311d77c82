import io.fabric8.kubernetes.api.model.HasMetadata;
import io.fabric8.kubernetes.client.utils.KubernetesSerialization;
import java.lang.reflect.Field;
import java.lang.reflect.Modifier;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collection;
import java.util.Map;

/** Checks manifests of Kubernetes against the classes of a client: kinds, types, and no property that the API lacks. See .ci/deploy. */
public final class Manifests {
  private int unknown;

  public static void main(String[] args) throws Exception {
    Manifests check = new Manifests();
    int count = 0;
    for (String document : Files.readString(Path.of(args[0])).split("(?m)^---$")) {
      HasMetadata object = new KubernetesSerialization().unmarshal(document, HasMetadata.class);
      if (object.getClass().getSimpleName().startsWith("Generic")) {
        System.out.println("unknown kind: " + object.getKind());
        check.unknown++;
      }
      check.walk(object, object.getKind());
      count++;
    }
    System.out.println(count + " objects, " + check.unknown + " unknown properties");
    System.exit(check.unknown == 0 ? 0 : 1);
  }

  private void walk(Object value, String path) throws IllegalAccessException {
    switch (value) {
      case null -> {}
      case Map<?, ?> map -> {
        for (Map.Entry<?, ?> entry : map.entrySet()) {
          walk(entry.getValue(), path + "." + entry.getKey());
        }
      }
      case Collection<?> values -> {
        int i = 0;
        for (Object one : values) {
          walk(one, path + "[" + i++ + "]");
        }
      }
      default -> {
        if (!value.getClass().getName().startsWith("io.fabric8.")) {
          return;
        }
        for (Field field : value.getClass().getDeclaredFields()) {
          if (Modifier.isStatic(field.getModifiers())) {
            continue;
          }
          field.setAccessible(true);
          if (field.getName().equals("additionalProperties")) {
            if (field.get(value) instanceof Map<?, ?> others && !others.isEmpty()) {
              System.out.println(path + ": unknown: " + others.keySet());
              unknown++;
            }
          } else {
            walk(field.get(value), path + "." + field.getName());
          }
        }
      }
    }
  }
}
