@echo off
rem JNeoX's launcher for Windows: runs app\target\jneox.jar, which starts a JVM with the flags of launch.conf. It does not build: run
rem "mvn package -DskipTests" first. It has not been tried on Windows yet.
rem   JNEOX_JAVA_HOME  the Java to use, 25 or newer; else JAVA_HOME; else the java of the PATH
rem   JNEOX_JAVA_OPTS  more options for java, for example -Xmx8g
setlocal
set "java=java"
if defined JAVA_HOME set "java=%JAVA_HOME%\bin\java"
if defined JNEOX_JAVA_HOME set "java=%JNEOX_JAVA_HOME%\bin\java"
if not exist "%~dp0app\target\jneox.jar" (
  echo jneox: there is no app\target\jneox.jar: build it with "mvn package -DskipTests" 1>&2
  exit /b 1
)
"%java%" -jar "%~dp0app\target\jneox.jar" %*
exit /b %ERRORLEVEL%
