# Speaks to the driver as SparkR does, which PyPI's Spark does not carry: what SparkR's scripts need is there.
conn <- socketConnection(
  port = as.integer(Sys.getenv("EXISTING_SPARKR_BACKEND_PORT")), open = "wb", blocking = TRUE, timeout = 120
)
put_int <- function(to, value) writeBin(as.integer(value), to, endian = "big")
put_text <- function(to, text) {
  put_int(to, nchar(text, type = "bytes") + 1L)
  writeBin(text, to, endian = "big")
}
get_int <- function() readBin(conn, integer(), n = 1L, endian = "big")
get_text <- function() {
  bytes <- readBin(conn, raw(), n = get_int())
  rawToChar(bytes[bytes != 0])
}
get_value <- function() {
  kind <- rawToChar(readBin(conn, raw(), n = 1L))
  switch(kind,
    n = NULL,
    i = get_int(),
    d = readBin(conn, double(), n = 1L, endian = "big"),
    c = get_text(),
    j = structure(get_text(), class = "object"),
    stop("a value of kind ", kind)
  )
}
put_value <- function(to, value) {
  writeBin(charToRaw(if (inherits(value, "object")) "j" else "c"), to)
  put_text(to, unclass(value))
}
# `on` is an object, or the name of a class.
call <- function(on, method, ...) {
  message <- rawConnection(raw(0), "r+")
  put_int(message, if (inherits(on, "object")) 0L else 1L)
  put_text(message, unclass(on))
  put_text(message, method)
  put_int(message, length(list(...)))
  for (value in list(...)) put_value(message, value)
  bytes <- rawConnectionValue(message)
  close(message)
  put_int(conn, length(bytes))
  writeBin(bytes, conn)
  repeat {
    status <- get_int()
    if (status != 1L) break # 1: it lives, and has no answer yet
  }
  if (status != 0L) stop(get_text())
  get_value()
}

put_text(conn, Sys.getenv("SPARKR_BACKEND_AUTH_SECRET"))
stopifnot(get_text() == "ok")
session <- call(call("org.apache.spark.sql.SparkSession", "builder"), "getOrCreate")
numbers <- call(session, "sql", "SELECT id, id * id AS square FROM range(0, 1000, 1, 4)")
stopifnot(call(numbers, "count") == 1000)
call(call(numbers, "write"), "parquet", paste0("file://", Sys.getenv("MAYFLY_RESULTS"), "/squares"))
cat(commandArgs(trailingOnly = TRUE), call(session, "version"), "\n")
call(session, "stop")
