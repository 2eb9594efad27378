/* SPDX-License-Identifier: ISC */
#ifndef BASE_LOG_H
#define BASE_LOG_H

/*
 * One line a fact: time, level, process, then "verb key=value …".  A line is
 * written with one write(2) to the log's descriptor; control characters in it
 * are escaped, so no peer's text can forge a line.  A full or broken log never
 * stops the caller: the line is dropped and counted.
 */
enum log_level { LOG_DEBUG_, LOG_INFO_, LOG_WARN_, LOG_ERROR_ };

/*
 * Where lines go and which.
 *
 * fd     borrowed; stays open as long as the program logs (default 2)
 * least  lines below this level are left out (default info)
 * name   what the lines call this process, e.g. "worker 1"; copied, at most 31 bytes
 */
void log_open(int fd, enum log_level least, const char *name);

/* Write one line; the text is cut at about 4000 bytes.  Leaves errno as it was. */
void log_line(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Returns how many lines could not be written since the start. */
unsigned long log_dropped(void);

#define log_debug(...) log_line(LOG_DEBUG_, __VA_ARGS__)
#define log_info(...)  log_line(LOG_INFO_, __VA_ARGS__)
#define log_warn(...)  log_line(LOG_WARN_, __VA_ARGS__)
#define log_error(...) log_line(LOG_ERROR_, __VA_ARGS__)

#endif
