package dev.jneox.serve;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import org.jspecify.annotations.Nullable;

/**
 * Ends a request with an error in the form of OpenAI's API: {@code {"error": {"message", "type",
 * "param", "code"}}}.
 */
final class ApiException extends RuntimeException {
  private static final long serialVersionUID = 1;

  private final int status;
  private final String type;
  private final @Nullable String param;
  private final @Nullable String code;
  private final int retryAfter;

  private ApiException(
      int status, String type, @Nullable String param, @Nullable String code, String message) {
    this(status, type, param, code, message, 0);
  }

  private ApiException(
      int status,
      String type,
      @Nullable String param,
      @Nullable String code,
      String message,
      int retryAfter) {
    super(message, null, false, false);
    this.status = status;
    this.type = type;
    this.param = param;
    this.code = code;
    this.retryAfter = retryAfter;
  }

  /** Says that a value of the body is not as expected. */
  static ApiException invalid(String param, String message) {
    return new ApiException(400, "invalid_request_error", param, "invalid_value", message);
  }

  /** Says that the body as a whole is not as expected. */
  static ApiException malformed(String message) {
    return new ApiException(400, "invalid_request_error", null, null, message);
  }

  /** Says that the server does not do what a value of the body asks for. */
  static ApiException unsupported(String param, String message) {
    return new ApiException(400, "invalid_request_error", param, "unsupported_parameter", message);
  }

  /** Says that prompt and answer do not fit into the model's context. */
  static ApiException tooLong(String param, String message) {
    return new ApiException(
        400, "invalid_request_error", param, "context_length_exceeded", message);
  }

  static ApiException noSuchModel(String model, String known) {
    return new ApiException(
        404,
        "invalid_request_error",
        "model",
        "model_not_found",
        "The model '%s' does not exist here: %s".formatted(model, known));
  }

  static ApiException noSuchPath(String method, String path) {
    return new ApiException(
        404, "invalid_request_error", null, "unknown_url", "no such URL: " + method + " " + path);
  }

  static ApiException unauthorized() {
    return new ApiException(
        401,
        "invalid_request_error",
        null,
        "invalid_api_key",
        "expected the header Authorization: Bearer KEY with a key of this server");
  }

  static ApiException forbidden(String message) {
    return new ApiException(403, "invalid_request_error", null, "forbidden", message);
  }

  /** Says that the path is known, not for this method. */
  static ApiException wrongMethod(String method, String path, String allowed) {
    return new ApiException(
        405,
        "invalid_request_error",
        null,
        "method_not_allowed",
        "%s takes %s, found %s".formatted(path, allowed, method));
  }

  static ApiException overloaded(String message, int retryAfter) {
    return new ApiException(
        429, "rate_limit_error", null, "rate_limit_exceeded", message, retryAfter);
  }

  static ApiException unavailable(String message) {
    return new ApiException(503, "server_error", null, "unavailable", message, 1);
  }

  /** Ends a request whose answer nobody waits for; its status is nginx's, for the log. */
  static ApiException abandoned() {
    return new ApiException(499, "invalid_request_error", null, null, "the client has left");
  }

  static ApiException timedOut(String message) {
    return new ApiException(408, "timeout_error", null, "timeout", message);
  }

  /** Says that something else of HTTP went wrong, with the status that names it. */
  static ApiException http(int status, String message) {
    return new ApiException(
        status, status < 500 ? "invalid_request_error" : "server_error", null, null, message);
  }

  int status() {
    return status;
  }

  /** Returns the seconds after which a client may try again; 0 where that is of no use. */
  int retryAfter() {
    return retryAfter;
  }

  /** Returns the body of the answer. */
  ObjectNode json() {
    ObjectNode root = JsonNodeFactory.instance.objectNode();
    root.putObject("error")
        .put("message", getMessage())
        .put("type", type)
        .put("param", param)
        .put("code", code);
    return root;
  }
}
