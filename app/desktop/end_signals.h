#pragma once

#include "vmm/base/unique_fd.h"

#include <QObject>
#include <QSocketNotifier>
#include <memory>

namespace app {

/// SIGTERM, SIGINT and SIGHUP as a Qt signal: what a session that ends, or a terminal, tells a program. Made before any
/// thread, which would otherwise take them.
class EndSignals final : public QObject {
    Q_OBJECT
public:
    EndSignals();

    /// The notifier needs an application; until then signals wait.
    void listen();

signals:
    void asked();

private:
    vmm::UniqueFd m_fd;
    std::unique_ptr<QSocketNotifier> m_notifier;
};

}
