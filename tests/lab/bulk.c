/// Sends to a USB device's bulk endpoint, by Linux' usbfs, and tells what comes back:
///   bulk NODE OUT IN ANSWERS BYTE...      of interface 0; all numbers in hexadecimal; each answer is a line
#include <fcntl.h>
#include <linux/usbdevice_fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>

enum { patience = 5000, most = 512 };

static int transfer(int device, unsigned endpoint, unsigned char* data, unsigned size)
{
    struct usbdevfs_bulktransfer bulk = { .ep = endpoint, .len = size, .timeout = patience, .data = data };
    int const count = ioctl(device, USBDEVFS_BULK, &bulk);
    if (count < 0) {
        perror("a bulk transfer");
        exit(1);
    }
    return count;
}

static unsigned number(char const* word)
{
    return (unsigned)strtoul(word, NULL, 16);
}

int main(int count, char** words)
{
    unsigned char data[most];
    unsigned interface = 0, size = 0;
    int const device = count > 5 && count - 5 < most ? open(words[1], O_RDWR) : -1;
    if (device < 0 || ioctl(device, USBDEVFS_CLAIMINTERFACE, &interface) < 0) {
        perror(count > 1 ? words[1] : "bulk");
        return 1;
    }
    for (int i = 5; i < count; i++)
        data[size++] = (unsigned char)number(words[i]);
    transfer(device, number(words[2]), data, size);
    for (unsigned left = number(words[4]); left > 0; left--) {
        int const came = transfer(device, number(words[3]), data, most);
        for (int i = 0; i < came; i++)
            printf("%02x", data[i]);
        printf("\n");
    }
    return 0;
}
