package dev.jneox.dist;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jneox.io.InputException;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class WorldTest {
  @Test
  void withoutALauncherThereIsOneProcess() {
    assertThat(World.of(Map.of())).isEqualTo(World.ALONE);
    // A batch script of Slurm is one process, though its job has more tasks.
    assertThat(World.of(Map.of("SLURM_PROCID", "0", "SLURM_NTASKS", "8", "SLURM_NODELIST", "n1")))
        .isEqualTo(World.ALONE);
  }

  @Test
  void torchrunsVariablesComeFirst() {
    Map<String, String> environment =
        Map.of(
            "RANK", "5",
            "WORLD_SIZE", "8",
            "LOCAL_RANK", "1",
            "LOCAL_WORLD_SIZE", "4",
            "MASTER_ADDR", "node-0",
            "MASTER_PORT", "23456",
            "SLURM_PROCID", "0",
            "SLURM_STEP_ID", "0");
    assertThat(World.of(environment)).isEqualTo(new World(5, 8, 1, 4, "node-0", 23456));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {"gpu[03-07,12]|gpu03", "n1,n2|n1", "rack7-n[1,3].lan,m1|rack7-n1.lan", "host|host"})
  void slurmsFirstNodeIsTheMaster(String nodes, String first) {
    Map<String, String> environment =
        Map.of(
            "SLURM_PROCID", "3",
            "SLURM_STEP_ID", "0",
            "SLURM_NTASKS", "6",
            "SLURM_LOCALID", "1",
            "SLURM_STEP_TASKS_PER_NODE", "2(x3)",
            "SLURM_NODELIST", nodes);
    assertThat(World.of(environment)).isEqualTo(new World(3, 6, 1, 2, first, 29500));
  }

  @Test
  void slurmsNodesMayHaveDifferentNumbersOfTasks() {
    Map<String, String> environment =
        Map.of(
            "SLURM_PROCID", "2",
            "SLURM_STEP_ID", "0",
            "SLURM_NTASKS", "3",
            "SLURM_LOCALID", "1",
            "SLURM_STEP_TASKS_PER_NODE", "1,2",
            "SLURM_NODELIST", "n[1-2]");
    assertThat(World.of(environment)).isEqualTo(new World(2, 3, 1, 2, "n1", 29500));
  }

  @Test
  void openMpisProcessesOfOneMachineMeetThere() {
    Map<String, String> environment =
        Map.of(
            "OMPI_COMM_WORLD_RANK", "2",
            "OMPI_COMM_WORLD_SIZE", "4",
            "OMPI_COMM_WORLD_LOCAL_RANK", "2",
            "OMPI_COMM_WORLD_LOCAL_SIZE", "4");
    assertThat(World.of(environment)).isEqualTo(new World(2, 4, 2, 4, "127.0.0.1", 29500));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "WORLD_SIZE=2|RANK is not set",
        "RANK=1|WORLD_SIZE is not set",
        "RANK=x,WORLD_SIZE=2|RANK: expected a whole number from 0, found x",
        "RANK=2,WORLD_SIZE=2|RANK: expected a number below that of the processes, 2, found 2",
        "SLURM_STEP_ID=0,SLURM_PROCID=9,SLURM_NTASKS=2|SLURM_PROCID: expected a number below",
        "RANK=1,WORLD_SIZE=4,LOCAL_RANK=2,LOCAL_WORLD_SIZE=2|LOCAL_RANK: process 2 of 2 on this",
        "RANK=1,WORLD_SIZE=2,LOCAL_WORLD_SIZE=8|LOCAL_RANK: process 1 of 8 on this",
        "RANK=1,WORLD_SIZE=2,LOCAL_RANK=-1|LOCAL_RANK: expected a whole number from 0, found -1",
        "RANK=1,WORLD_SIZE=2|MASTER_ADDR is not set: set it to the host of rank 0",
        "RANK=1,WORLD_SIZE=0|WORLD_SIZE: expected a whole number from 1",
        "RANK=1,WORLD_SIZE=2,MASTER_ADDR=a,MASTER_PORT=65536|expected a port up to 65535",
        "OMPI_COMM_WORLD_RANK=1,OMPI_COMM_WORLD_SIZE=4,OMPI_COMM_WORLD_LOCAL_SIZE=2|MASTER_ADDR is"
      })
  void wrongVariablesAreNamed(String variables, String message) {
    Map<String, String> environment = new java.util.HashMap<>();
    for (String variable : variables.split(",")) {
      environment.put(variable.split("=")[0], variable.split("=")[1]);
    }
    assertThatThrownBy(() -> World.of(environment))
        .isInstanceOf(InputException.class)
        .hasMessageContaining(message);
  }
}
