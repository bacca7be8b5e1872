/// eject DEVICE: presses the button of a CD drive, as Linux has it. Says why, and ends with 1, where the drive stays
/// closed.
#include <fcntl.h>
#include <linux/cdrom.h>
#include <stdio.h>
#include <sys/ioctl.h>

int main(int count, char** words)
{
    int const drive = count == 2 ? open(words[1], O_RDONLY | O_NONBLOCK) : -1; // also without a disc
    if (drive >= 0 && ioctl(drive, CDROMEJECT, 0) == 0)
        return 0;
    perror("eject");
    return 1;
}
