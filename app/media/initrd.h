#pragma once

#include <string>

namespace app {

/// The initial RAM disk that lies beside a Linux kernel and is called as one of its: "initrd.img-6.1.0-18-amd64" beside
/// "vmlinuz-6.1.0-18-amd64", "initrd.gz" beside "linux". Empty: there is none.
std::string initrdBeside(std::string const& kernel);

}
