# fiber: stacks, switching, scheduling; pure but for mmap.
noinst_LTLIBRARIES += libfiber.la
libfiber_la_SOURCES = \
	src/fiber/checker.h \
	src/fiber/context.c src/fiber/context.h \
	src/fiber/fiber.c src/fiber/fiber.h \
	src/fiber/guard.c \
	src/fiber/room.c src/fiber/room.h \
	src/fiber/sched.c src/fiber/sched.h \
	src/fiber/stack.c src/fiber/stack.h \
	src/fiber/timerq.c src/fiber/timerq.h \
	src/fiber/why.c src/fiber/why.h
if FIBER_SWITCH_ASM
# Each is empty for any other processor.
libfiber_la_SOURCES += src/fiber/context_x86_64.S src/fiber/context_aarch64.S
else
EXTRA_DIST += src/fiber/context_x86_64.S src/fiber/context_aarch64.S
endif
