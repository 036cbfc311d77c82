package dev.jneox.cli;

import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.IntConsumer;

/**
 * Handles signals of the operating system until it is closed; then the handlers before are back.
 *
 * <p>The JDK's interface is {@code sun.misc.Signal} of module {@code jdk.unsupported}. It is called
 * by reflection, because javac warns of every mention of it and takes no option against that.
 */
public final class Signals implements AutoCloseable {
  private final Map<Object, Object> before = new LinkedHashMap<>();

  /**
   * Takes over signals.
   *
   * @param numbers by name, such as 2 for INT
   * @param handler is called with the number, on a thread of the JVM
   */
  public Signals(Map<String, Integer> numbers, IntConsumer handler) {
    numbers.forEach(
        (name, number) -> {
          Object proxy =
              Proxy.newProxyInstance(
                  Signals.class.getClassLoader(),
                  new Class<?>[] {type("sun.misc.SignalHandler")},
                  (_, method, _) -> {
                    if (method.getName().equals("handle")) {
                      handler.accept(number);
                    }
                    return null;
                  });
          try {
            Object signal = type("sun.misc.Signal").getConstructor(String.class).newInstance(name);
            before.put(signal, handle(signal, proxy));
          } catch (InvocationTargetException e) {
            if (!(e.getCause() instanceof IllegalArgumentException)) {
              throw new IllegalStateException(e);
            }
            // The JVM was started with -Xrs, which leaves signals to the system.
          } catch (ReflectiveOperationException e) {
            throw new IllegalStateException(e);
          }
        });
  }

  private static Class<?> type(String name) {
    try {
      return Class.forName(name);
    } catch (ClassNotFoundException e) {
      throw new IllegalStateException(e);
    }
  }

  private static Object handle(Object signal, Object handler) throws ReflectiveOperationException {
    return type("sun.misc.Signal")
        .getMethod("handle", type("sun.misc.Signal"), type("sun.misc.SignalHandler"))
        .invoke(null, signal, handler);
  }

  @Override
  public void close() {
    before.forEach(
        (signal, handler) -> {
          try {
            handle(signal, handler);
          } catch (ReflectiveOperationException e) {
            throw new IllegalStateException(e);
          }
        });
  }
}
