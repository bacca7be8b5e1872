#pragma once

#include "app/library/library.h"
#include "ui/usb/usb_row.h"
#include "ui/widgets/problem.h"

#include <QObject>
#include <set>
#include <vector>

namespace ui {

/// The USB devices of one machine, of the host and of other computers, as rows, and what can be done with them. It
/// looks at nothing before open(), and remembers nothing but what is on its way.
class UsbModel final : public QObject {
    Q_OBJECT
public:
    UsbModel(app::Library& library, QString id, QObject* parent = nullptr);

    void open();
    std::vector<UsbRow> const& rows() const { return m_rows; }
    /// Why the host's devices cannot be told; empty: they can.
    QString problem() const;

    void updateTexts() { fill(); }

    /// Of any row, and of what was plugged into the host just now. A device that the host uses, or that a rule keeps
    /// there, is asked about first: used().
    void setPlugged(QString const& id, bool plugged);
    /// Of the machine's own. A stick whose image must not be written to is read-only.
    void addStick(QString const& image);
    void add(vmm::UsbKind kind);
    void remove(QString const& id);
    /// Why nothing can be plugged in from outside; empty: it can.
    QString whyNot() const;
    /// Why nothing can be added; empty: it can.
    QString whyNotAdd() const;
    /// The person has said so.
    void attachAnyway(QString const& port);
    /// What shall always happen with such a device; `attach`: to this machine.
    void setRule(vmm::HostUsbInfo const& device, bool attach);

signals:
    void changed();
    void used(app::UsbQuestion question);
    void failed(ui::Task task, vmm::Error error, QString node);

private:
    app::VmSession* session() const { return m_library.session(m_id); }
    app::HostUsbEntry const* entry(QString const& port) const;
    void attach(QString const& port, app::Really really);
    void attachLookedAt();
    void add(vmm::UsbAddition const& device);
    void finish(QString const& id, Task task, vmm::Result<> const& outcome);
    void fill();
    void addHostRows(std::vector<UsbRow>& rows) const;
    void addRemoteRows(std::vector<UsbRow>& rows) const;
    void addOwnRows(std::vector<UsbRow>& rows) const;
    QString machineName(std::string const& uuid, std::string const& otherwise) const;

    app::Library& m_library;
    QString m_id;
    std::vector<UsbRow> m_rows;
    std::set<QString> m_toAttach; // ports that are looked at once more before
    std::set<QString> m_onTheirWay, m_leaving;
};

}
