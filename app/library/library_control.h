#pragma once

#include "app/control/control_server.h"

#include <QObject>

namespace app {

class Library;

/// Serves a library's machines on the control socket, those that come later too. GUI thread.
class LibraryControl final : public QObject {
public:
    /// Without a socket (a directory that cannot be written to) the library is as good as before; the log says why.
    explicit LibraryControl(Library& library, std::string const& directory = control::runtimeDirectory());
    ~LibraryControl() override;

private:
    std::unique_ptr<control::ControlServer> m_server;
};

}
