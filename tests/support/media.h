#pragma once

#include <QByteArray>
#include <initializer_list>

/// Files that are just enough of a medium to be known as one.
namespace tests {

/// An ISO 9660 image with nothing but what says so: a primary volume descriptor, and a boot record where wanted.
inline QByteArray iso(char const* label, std::initializer_list<int> bootPlatforms = {}, quint32 catalogSector = 20)
{
    QByteArray image(64 * 2048, '\0');
    auto const put = [&](qsizetype offset, QByteArray const& bytes) { image.replace(offset, bytes.size(), bytes); };
    auto const descriptor = [&](int sector, char type) { put(sector * 2048, QByteArray(1, type) + "CD001\x01"); };
    descriptor(16, 1);
    put(16 * 2048 + 40, QByteArray(label).leftJustified(32, ' '));
    int end = 17;
    if (bootPlatforms.size() != 0) {
        descriptor(17, 0);
        put(17 * 2048 + 7, "EL TORITO SPECIFICATION");
        put(17 * 2048 + 0x47, QByteArray(reinterpret_cast<char const*>(&catalogSector), 4));
        end = 18;
        qsizetype at = 20 * 2048;
        put(at, QByteArray(1, 1) + QByteArray(1, char(*bootPlatforms.begin())));
        put(at + 30, "\x55\xaa");
        put(at + 32, "\x88");
        for (auto platform = bootPlatforms.begin() + 1; platform != bootPlatforms.end(); ++platform) {
            at += 64;
            put(at, QByteArray("\x91") + char(*platform));
            put(at + 32, "\x88");
        }
    }
    descriptor(end, char(255));
    return image;
}

/// A Linux bzImage that says its version.
inline QByteArray bzImage(QByteArray const& version)
{
    QByteArray kernel(0x1000, '\0');
    kernel.replace(0x202, 4, "HdrS");
    kernel[0x20f] = 4; // the version's text is at 0x400, counted from 0x200
    kernel.replace(0x600, version.size(), version);
    return kernel;
}

/// The head of an ELF for x86-64.
inline QByteArray elf()
{
    QByteArray file(4096, '\0');
    file.replace(0, 4,
        "\x7f"
        "ELF");
    file[18] = 62; // EM_X86_64
    return file;
}

/// The head of what xz has packed.
inline QByteArray xz()
{
    return QByteArray("\xfd"
                      "7zXZ\0",
               6)
        + QByteArray(1018, '\0');
}

inline QByteArray vmdk()
{
    return QByteArray("KDMV") + QByteArray(1024, '\0');
}

}
