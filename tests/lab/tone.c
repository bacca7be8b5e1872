/// Plays a tone on a sound device of Linux', or records from one, with nothing but the kernel's own interface:
///   tone play DEVICE CHANNELS SECONDS      440 Hz at half of full scale, in the first channel; ends when it was heard
///   tone record DEVICE CHANNELS SECONDS    tells for how many frames on end the first channel had nothing but that
///                                          tone, and in how many there was something in another
///   tone hear CHANNELS                     tells that of the frames in its input
/// A gap of our own making ends it with 3.
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <sound/asound.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { rate = 48000, hertz = 440, period = 1200, periods = 8, mostChannels = 2 };

static void fail(char const* what)
{
    int const error = errno;
    fprintf(stderr, "%s: %s\n", what, strerror(error));
    exit(error == EPIPE ? 3 : 1);
}

static void choose(struct snd_pcm_hw_params* parameters, int which, unsigned bit)
{
    struct snd_mask* const mask = &parameters->masks[which - SNDRV_PCM_HW_PARAM_FIRST_MASK];
    memset(mask, 0, sizeof *mask);
    mask->bits[0] = 1u << bit;
}

static void set(struct snd_pcm_hw_params* parameters, int which, unsigned value)
{
    struct snd_interval* const interval = &parameters->intervals[which - SNDRV_PCM_HW_PARAM_FIRST_INTERVAL];
    memset(interval, 0, sizeof *interval);
    interval->min = interval->max = value;
    interval->integer = 1;
}

static int open_device(char const* path, int plays, unsigned channels)
{
    int const device = open(path, O_RDWR);
    if (device < 0)
        fail(path);
    static struct snd_pcm_hw_params hardware;
    memset(&hardware, 0xff, sizeof hardware);
    hardware.flags = 0;
    for (unsigned i = 0; i < sizeof hardware.intervals / sizeof *hardware.intervals; i++) {
        memset(&hardware.intervals[i], 0, sizeof *hardware.intervals);
        hardware.intervals[i].max = ~0u;
    }
    choose(&hardware, SNDRV_PCM_HW_PARAM_ACCESS, SNDRV_PCM_ACCESS_RW_INTERLEAVED);
    choose(&hardware, SNDRV_PCM_HW_PARAM_FORMAT, SNDRV_PCM_FORMAT_S16_LE);
    choose(&hardware, SNDRV_PCM_HW_PARAM_SUBFORMAT, SNDRV_PCM_SUBFORMAT_STD);
    set(&hardware, SNDRV_PCM_HW_PARAM_CHANNELS, channels);
    set(&hardware, SNDRV_PCM_HW_PARAM_RATE, rate);
    set(&hardware, SNDRV_PCM_HW_PARAM_PERIOD_SIZE, period);
    set(&hardware, SNDRV_PCM_HW_PARAM_PERIODS, periods);
    if (ioctl(device, SNDRV_PCM_IOCTL_HW_PARAMS, &hardware) != 0)
        fail("hardware parameters");
    static struct snd_pcm_sw_params software;
    software.period_step = 1;
    software.avail_min = period;
    software.start_threshold = plays ? period * periods : 1;
    software.stop_threshold = period * periods;
    software.proto = SNDRV_PCM_VERSION;
    software.boundary = period * periods;
    if (ioctl(device, SNDRV_PCM_IOCTL_SW_PARAMS, &software) != 0)
        fail("software parameters");
    if (ioctl(device, SNDRV_PCM_IOCTL_PREPARE) != 0)
        fail("preparing");
    return device;
}

/// What was heard. Each sample of a tone follows from the two before it, also where the host's clock was followed by a
/// few hundredths of a per cent; one that is lost, or there twice, ends it.
static struct {
    short last[2];
    unsigned run, longest, others;
} heard;

static void hear(short const* frame, unsigned channels)
{
    double const expected = 2 * cos(2 * M_PI * hertz / rate) * heard.last[1] - heard.last[0];
    int const is_silence = !frame[0] && !heard.last[0] && !heard.last[1];
    heard.run = fabs(frame[0] - expected) <= 8 && !is_silence ? heard.run + 1 : 0;
    heard.longest = heard.run > heard.longest ? heard.run : heard.longest;
    heard.others += channels > 1 && frame[1];
    heard.last[0] = heard.last[1];
    heard.last[1] = frame[0];
}

static void tell(void)
{
    printf("%u %u\n", heard.longest, heard.others);
}

static int hear_input(unsigned channels)
{
    short frame[mostChannels];
    while (fread(frame, sizeof *frame * channels, 1, stdin) == 1)
        hear(frame, channels);
    tell();
    return 0;
}

int main(int count, char** words)
{
    int const plays = count == 5 && strcmp(words[1], "play") == 0, hears = count == 3 && strcmp(words[1], "hear") == 0;
    if (!plays && !hears && !(count == 5 && strcmp(words[1], "record") == 0))
        return 2;
    unsigned const channels = (unsigned)atoi(words[hears ? 2 : 3]);
    if (channels < 1 || channels > mostChannels)
        return 2;
    if (hears)
        return hear_input(channels);
    unsigned const frames = (unsigned)(atof(words[4]) * rate);
    int const device = open_device(words[2], plays, channels);
    short samples[period * mostChannels];
    unsigned late = 0; // a clock that leaps, as after a suspend, ends the kernel's wait for room once, and nothing else
    for (unsigned at = 0; at < frames; at += period) {
        memset(samples, 0, sizeof samples);
        for (unsigned i = 0; plays && i < period; i++)
            samples[i * channels] = (short)lrint(16000 * sin(2 * M_PI * hertz / rate * (at + i)));
        struct snd_xferi transfer = { .buf = samples, .frames = period };
        while (ioctl(device, plays ? SNDRV_PCM_IOCTL_WRITEI_FRAMES : SNDRV_PCM_IOCTL_READI_FRAMES, &transfer) != 0) {
            if (errno != EIO || ++late > 1)
                fail(plays ? "playing" : "recording");
        }
        for (snd_pcm_sframes_t i = 0; !plays && i < transfer.result; i++)
            hear(samples + i * channels, channels);
    }
    if (plays && ioctl(device, SNDRV_PCM_IOCTL_DRAIN) != 0)
        fail("playing to the end");
    if (!plays)
        tell();
    return 0;
}
