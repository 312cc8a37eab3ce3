/* Holds up writes below a folder while a file is there: a disk that has stopped answering, for one process.
 *
 * Preloaded into it; STALL_BELOW is the folder, STALL_WHILE the file. Without the file each call is as it was. */
#define _GNU_SOURCE
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

static void wait_for(int fd) {
    const char *below = getenv("STALL_BELOW"), *file = getenv("STALL_WHILE");
    char name[64], path[PATH_MAX];
    if (!below || !file || access(file, F_OK) != 0)
        return;
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(name, path, sizeof path);
    if (length < (ssize_t)strlen(below) || strncmp(path, below, strlen(below)) != 0)
        return;
    while (access(file, F_OK) == 0)
        usleep(5000);
}

int fsync(int fd) { wait_for(fd); return syscall(SYS_fsync, fd); }
int fdatasync(int fd) { wait_for(fd); return syscall(SYS_fdatasync, fd); }
ssize_t pwrite(int fd, const void *from, size_t count, off_t at) { wait_for(fd); return syscall(SYS_pwrite64, fd, from, count, at); }
ssize_t pwrite64(int fd, const void *from, size_t count, off_t at) { wait_for(fd); return syscall(SYS_pwrite64, fd, from, count, at); }
int sync_file_range(int fd, off_t at, off_t count, unsigned flags) { wait_for(fd); return syscall(SYS_sync_file_range, fd, at, count, flags); }
