#pragma once

#include "app/runner/links.h"

#include <QByteArray>
#include <QObject>
#include <QString>
#include <atomic>

namespace app {

/// One serial port for a terminal. GUI thread only. Any number of readers, each with a position of its own.
class ConsoleSession final : public QObject {
    Q_OBJECT
public:
    ConsoleSession(QString id, std::shared_ptr<ConsoleLink> link, QObject* parent = nullptr);
    ~ConsoleSession() override;

    QString id() const { return m_id; }

    /// Where one reader is. A fresh one begins with all that is kept (1 MiB), from before the terminal was opened too.
    struct Position {
        quint64 run = 0, offset = 0;
    };
    struct Output {
        QByteArray data;
        bool isNewRun = false; ///< `past` and `data` begin a new run of the machine: the terminal resets first
        QByteArray past;       ///< what it showed before it was suspended, where it was
        std::optional<RunOrigin> origin; ///< the moment that the new run went to
    };
    /// What the guest has printed since `position`, which moves on. Empty when nothing.
    Output read(Position& position) const;

    /// False, and nothing taken, when no machine is in memory or the guest has left too much unread.
    bool type(QByteArray const& bytes);

    /// The terminal's, in characters: a guest that can be told of it is.
    void setSize(int columns, int rows);

signals:
    /// There is something to read. However much is printed, at most one is on its way at a time.
    void outputReady();

private:
    /// Outlives the session, for the printing thread may be about to use it.
    struct Wakeup;
    QString m_id;
    std::shared_ptr<ConsoleLink> m_link;
    std::shared_ptr<Wakeup> m_wakeup;
    ConsoleLink::ListenerId m_listener = 0;
};

}
