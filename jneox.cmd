@echo off
rem JNeoX's launcher for Windows: runs app\target\jneox.jar, which starts a JVM with the flags of launch.conf. It does not build: run
rem "mvn package -DskipTests" first. In an image (image\pom.xml), as bin\jneox.cmd, it takes the jar and the Java
rem there. It has not been tried on Windows yet.
rem   JNEOX_JAVA_HOME  the Java to use, 25 or newer; else that of the image; else JAVA_HOME; else the java of the PATH
rem   JNEOX_JAVA_OPTS  more options for java, for example -Xmx8g
setlocal
set "jar=%~dp0app\target\jneox.jar"
set "java=java"
set "command="
if defined JAVA_HOME set "java=%JAVA_HOME%\bin\java"
if exist "%~dp0..\app\jneox.jar" (
  set "jar=%~dp0..\app\jneox.jar"
  set "java=%~dp0..\jre\bin\java"
  set "command=-Djneox.command=jneox"
)
if defined JNEOX_JAVA_HOME set "java=%JNEOX_JAVA_HOME%\bin\java"
if not exist "%jar%" (
  echo jneox: there is no app\target\jneox.jar: build it with "mvn package -DskipTests" 1>&2
  exit /b 1
)
"%java%" %command% -jar "%jar%" %*
exit /b %ERRORLEVEL%
