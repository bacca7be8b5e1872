/// The load inside the lab's Linux guest, and the other end of its connection. Each prints "AMOUNT NANOSECONDS" at its
/// end.
///
///   load disk DEVICE read|write random|sequential BLOCK DEPTH SECONDS   the amount is in blocks
///   load usb NODE COUNT                                                 control transfers, one after the other
///   load interrupts NODE COUNT                                          interrupt transfers of a tablet's, likewise
///   load send ADDRESS PORT SECONDS                                      in bytes
///   load sink PORT                                                      for ever, a line for each connection

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/fs.h>
#include <linux/usbdevice_fs.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static char buffer[1 << 17];

static void check(bool good, char const* what)
{
    if (good)
        return;
    perror(what);
    exit(1);
}

static uint64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

/// The next offset of the pattern, a multiple of `block` below `size`.
static uint64_t nextOffset(bool isRandom, uint64_t block, uint64_t size)
{
    static uint64_t number = 88172645463325252ull, position;
    if (!isRandom)
        return position++ % (size / block) * block;
    number ^= number << 13; // xorshift64
    number ^= number >> 7;
    number ^= number << 17;
    return number % (size / block) * block;
}

/// Keeps `depth` requests with the device, past the guest's page cache.
static void disk(char** words)
{
    bool const isWrite = strcmp(words[1], "write") == 0, isRandom = strcmp(words[2], "random") == 0;
    uint64_t const block = strtoull(words[3], NULL, 10);
    unsigned const depth = (unsigned)atoi(words[4]);
    uint64_t size = 0;
    int const fd = open(words[0], O_RDWR | O_DIRECT);
    check(fd >= 0 && ioctl(fd, BLKGETSIZE64, &size) == 0, words[0]);
    aio_context_t context = 0;
    check(syscall(SYS_io_setup, depth, &context) == 0, "io_setup");

    struct iocb requests[depth];
    struct iocb* idle[depth];
    struct io_event events[depth];
    unsigned idleCount = depth;
    memset(requests, 0, sizeof requests);
    for (unsigned i = 0; i < depth; i++) {
        requests[i].aio_lio_opcode = isWrite ? IOCB_CMD_PWRITE : IOCB_CMD_PREAD;
        requests[i].aio_fildes = (uint32_t)fd;
        requests[i].aio_nbytes = block;
        void* memory = NULL;
        check(posix_memalign(&memory, 4096, block) == 0, "posix_memalign");
        memset(memory, (int)i + 1, block);
        requests[i].aio_buf = (uint64_t)memory;
        idle[i] = &requests[i];
    }
    uint64_t const start = now(), end = start + strtoull(words[5], NULL, 10) * 1000000000;
    uint64_t done = 0;
    while (now() < end) {
        for (unsigned i = 0; i < idleCount; i++)
            idle[i]->aio_offset = (int64_t)nextOffset(isRandom, block, size);
        check(syscall(SYS_io_submit, context, (long)idleCount, idle) == (long)idleCount, "io_submit");
        long const count = syscall(SYS_io_getevents, context, 1L, (long)depth, events, NULL);
        check(count > 0, "io_getevents");
        idleCount = (unsigned)count;
        for (unsigned i = 0; i < idleCount; i++) {
            idle[i] = (struct iocb*)events[i].obj;
            check(events[i].res == (int64_t)block, "a transfer");
        }
        done += idleCount;
    }
    printf("%lu %lu\n", done, now() - start);
}

/// USB 2.0, 9.4.5 "Get Status", of the device: two bytes, which cost it nothing.
static void usb(char** words)
{
    unsigned const count = (unsigned)atoi(words[1]);
    uint8_t status[2];
    struct usbdevfs_ctrltransfer request
        = { .bRequestType = 0x80, .bRequest = 0, .wLength = sizeof status, .timeout = 5000, .data = status };
    int const fd = open(words[0], O_RDWR);
    check(fd >= 0, words[0]);
    uint64_t const start = now();
    for (unsigned i = 0; i < count; i++)
        check(ioctl(fd, USBDEVFS_CONTROL, &request) == sizeof status, "a request");
    printf("%u %lu\n", count, now() - start);
}

/// A tablet that was told to repeat itself (HID 1.11, 7.2.4 "Set_Idle Request") has an answer each time: 056a:0000 as
/// QEMU simulates it, at any pace.
static void interrupts(char** words)
{
    unsigned const count = (unsigned)atoi(words[1]);
    uint8_t report[8];
    struct usbdevfs_disconnect_claim claim = { .interface = 0 };
    struct usbdevfs_ctrltransfer idle = { .bRequestType = 0x21, .bRequest = 0x0a, .wValue = 0x0100, .timeout = 5000 };
    struct usbdevfs_bulktransfer request = { .ep = 0x81, .len = sizeof report, .timeout = 5000, .data = report };
    int const fd = open(words[0], O_RDWR);
    check(fd >= 0, words[0]);
    check(ioctl(fd, USBDEVFS_DISCONNECT_CLAIM, &claim) == 0, "taking it");
    check(ioctl(fd, USBDEVFS_CONTROL, &idle) == 0, "Set_Idle");
    uint64_t const start = now();
    for (unsigned i = 0; i < count; i++)
        check(ioctl(fd, USBDEVFS_BULK, &request) > 0, "a report");
    printf("%u %lu\n", count, now() - start);
}

static void sendAll(char** words)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(words[1])) };
    check(inet_pton(AF_INET, words[0], &address.sin_addr) == 1, words[0]);
    int const fd = socket(AF_INET, SOCK_STREAM, 0);
    check(connect(fd, (struct sockaddr*)&address, sizeof address) == 0, "connect");
    uint64_t const start = now(), end = start + strtoull(words[2], NULL, 10) * 1000000000;
    uint64_t sent = 0;
    while (now() < end) {
        ssize_t const count = send(fd, buffer, sizeof buffer, 0);
        check(count > 0, "send");
        sent += (uint64_t)count;
    }
    // What is under way counts when it has arrived: the other end closes then.
    shutdown(fd, SHUT_WR);
    check(recv(fd, buffer, 1, 0) == 0, "the other end");
    printf("%lu %lu\n", sent, now() - start);
}

static void sink(char** words)
{
    struct sockaddr_in const address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(words[0])) };
    int const listening = socket(AF_INET, SOCK_STREAM, 0), yes = 1;
    setsockopt(listening, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    check(bind(listening, (struct sockaddr const*)&address, sizeof address) == 0 && listen(listening, 5) == 0, "bind");
    for (;;) {
        int const fd = accept(listening, NULL, NULL);
        check(fd >= 0, "accept");
        uint64_t const start = now();
        uint64_t received = 0;
        for (ssize_t count; (count = recv(fd, buffer, sizeof buffer, 0)) > 0;)
            received += (uint64_t)count;
        close(fd);
        printf("%lu %lu\n", received, now() - start);
        fflush(stdout);
    }
}

int main(int count, char** words)
{
    if (count == 8 && strcmp(words[1], "disk") == 0)
        disk(words + 2);
    else if (count == 4 && strcmp(words[1], "usb") == 0)
        usb(words + 2);
    else if (count == 4 && strcmp(words[1], "interrupts") == 0)
        interrupts(words + 2);
    else if (count == 5 && strcmp(words[1], "send") == 0)
        sendAll(words + 2);
    else if (count == 3 && strcmp(words[1], "sink") == 0)
        sink(words + 2);
    else
        return 2;
    return 0;
}
