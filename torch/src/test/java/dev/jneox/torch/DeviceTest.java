package dev.jneox.torch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class DeviceTest {
  @ParameterizedTest
  @CsvSource({
    "auto, false, 0, cpu", "auto, true, 0, cpu", "auto, true, 2, cuda:0",
    "cuda, true, 2, cuda:0", "cuda:0, true, 1, cuda:0", "cuda:1, true, 2, cuda:1"
  })
  void isWhatLibtorchHas(String text, boolean built, int count, String expected) {
    assertThat(Device.among(text, built, count)).hasToString(expected);
  }

  @ParameterizedTest
  @CsvSource({
    "cuda, false, 0, 'cuda: this libtorch has no CUDA, it is the build for the CPU: take cpu or"
        + " auto (the README has the other build)'",
    "cuda:1, true, 0, 'cuda:1: libtorch finds no CUDA device on this machine: take cpu or auto'",
    "cuda:2, true, 2, 'cuda:2: libtorch finds 2 CUDA devices: take cuda:0 to cuda:1'"
  })
  void aDeviceThatIsNotThereIsAnError(String text, boolean built, int count, String message) {
    assertThatThrownBy(() -> Device.among(text, built, count))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(message);
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "gpu", "CPU", "cuda:", "cuda:-1", "cuda:x", "cuda:100", "cpu:0"})
  void anythingElseIsNoDevice(String text) {
    assertThatThrownBy(() -> Device.parse(text))
        .hasMessage("expected cpu, auto, cuda or cuda:N, found " + text);
  }

  @Test
  void isReadAsItIsWritten() {
    assertThat(Device.parse("cpu")).isEqualTo(Device.CPU).hasToString("cpu");
    Device auto = Device.parse("auto");
    assertThat(Device.parse(auto.toString())).isEqualTo(auto);
  }
}
