#include "app/session/console_session.h"

namespace app {

struct ConsoleSession::Wakeup {
    std::mutex mutex;
    ConsoleSession* session; // null when it has gone
    bool isUnderWay = false;

    explicit Wakeup(ConsoleSession* owner) : session(owner) { }
};

ConsoleSession::ConsoleSession(QString id, std::shared_ptr<ConsoleLink> link, QObject* parent)
    : QObject(parent), m_id(std::move(id)), m_link(std::move(link)), m_wakeup(std::make_shared<Wakeup>(this))
{
    m_listener = m_link->addListener([wakeup = m_wakeup] {
        std::lock_guard const lock(wakeup->mutex);
        if (wakeup->session == nullptr || wakeup->isUnderWay)
            return;
        wakeup->isUnderWay = true;
        QMetaObject::invokeMethod(
            wakeup->session,
            [wakeup] {
                ConsoleSession* session = nullptr;
                {
                    std::lock_guard const inner(wakeup->mutex);
                    wakeup->isUnderWay = false;
                    session = wakeup->session;
                }
                if (session != nullptr)
                    emit session->outputReady();
            },
            Qt::QueuedConnection);
    });
}

ConsoleSession::~ConsoleSession()
{
    m_link->removeListener(m_listener);
    std::lock_guard const lock(m_wakeup->mutex);
    m_wakeup->session = nullptr;
}

ConsoleSession::Output ConsoleSession::read(Position& position) const
{
    vmm::Bytes bytes;
    std::uint64_t run = position.run;
    position.offset = m_link->readFrom(position.offset, bytes, run);
    auto const text = [](vmm::Bytes const& from) {
        return QByteArray(reinterpret_cast<char const*>(from.data()), static_cast<qsizetype>(from.size()));
    };
    bool const isNewRun = run != position.run;
    position.run = run;
    if (!isNewRun)
        return { .data = text(bytes) };
    return { text(bytes), true, text(m_link->past()), m_link->origin() };
}

bool ConsoleSession::type(QByteArray const& bytes)
{
    return m_link->type({ reinterpret_cast<std::uint8_t const*>(bytes.constData()), std::size_t(bytes.size()) });
}

void ConsoleSession::setSize(int columns, int rows)
{
    m_link->setSize({ static_cast<std::uint16_t>(columns), static_cast<std::uint16_t>(rows) });
}

}

#include "moc_console_session.cpp"
