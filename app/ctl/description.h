#pragma once

#include <string>

namespace CLI {
class App;
}

namespace app::ctl {

/// Completion for a shell ("bash", "zsh", "fish"; else empty) and the manual page, both from the verbs' one
/// description.
std::string completionScript(CLI::App const& description, std::string const& shell);
std::string manualPage(CLI::App const& description);

}
