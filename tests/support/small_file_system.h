#pragma once

#include <QString>
#include <filesystem>
#include <string>
#include <sys/mount.h>

namespace tests {

/// A file system in memory with room for little, for as long as this is there. Only root may mount one.
class SmallFileSystem {
public:
    /// `options`: tmpfs(5)'s.
    SmallFileSystem(QString const& path, char const* options) : m_path(path.toStdString())
    {
        std::filesystem::create_directory(m_path);
        m_mounted = mount(0, options);
    }
    SmallFileSystem(SmallFileSystem const&) = delete;
    SmallFileSystem& operator=(SmallFileSystem const&) = delete;
    ~SmallFileSystem()
    {
        if (m_mounted)
            ::umount2(m_path.c_str(), MNT_DETACH);
    }
    /// Empty: it is there.
    QString whyNot() const
    {
        return m_mounted ? QString() : "CHRONOVISOR-SKIP: only root may mount the file system that this needs";
    }
    bool grow(char const* options) { return mount(MS_REMOUNT, options); }
    bool makeReadOnly() { return mount(MS_REMOUNT | MS_RDONLY, nullptr); }

private:
    bool mount(unsigned long flags, char const* options)
    {
        return ::mount("small", m_path.c_str(), "tmpfs", flags, options) == 0;
    }

    std::string m_path;
    bool m_mounted = false;
};

}
