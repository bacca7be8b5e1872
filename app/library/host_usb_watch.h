#pragma once

#include "app/usb/host_usb_list.h"

#include <QObject>
#include <memory>
#include <optional>
#include <vector>

namespace app {

/// This host's USB devices for the desktop: a list that follows what is plugged in and out, what machines of all our
/// processes have, and the rules. GUI thread only; it looks on a thread of its own, from open() on. The Library owns
/// it.
class HostUsbWatch final : public QObject {
    Q_OBJECT
public:
    /// `root`: of the library, where the rules are.
    explicit HostUsbWatch(std::string root, QObject* parent = nullptr);
    ~HostUsbWatch() override;

    /// Looks for the first time, and whenever something changes; again and again does no harm.
    void open();
    bool isRead() const { return m_isRead; }
    /// By their ports. What the host does with a device may have changed since: see refresh().
    std::vector<HostUsbEntry> const& devices() const { return m_devices; }
    /// Why nothing is known of them: this host has no USB, or we may not use it.
    std::optional<vmm::Error> const& problem() const { return m_problem; }
    UsbRules const& rules() const { return m_rules; }
    std::string rulesFile() const;
    /// The rules' file cannot be read, and no rule holds; it can be mended by hand or removed.
    std::optional<vmm::Error> const& rulesProblem() const { return m_rulesProblem; }

public slots:
    /// Looks again, soon: before a panel is shown or a device is taken. A mount tells nobody.
    void refresh();

signals:
    /// Any of the above is different, or was read for the first time.
    void changed();
    /// After each look that refresh() has asked for, whether anything is different or not.
    void refreshed();

private:
    struct Private;
    struct Found;
    void look();
    void take(Found found);

    std::unique_ptr<Private> m_private;
    bool m_isRead = false;
    std::vector<HostUsbEntry> m_devices;
    std::optional<vmm::Error> m_problem, m_rulesProblem;
    UsbRules m_rules;
};

}
