#include "app/desktop/single_instance.h"

#include "vmm/base/log.h"

#include <QCryptographicHash>
#include <QLocalSocket>
#include <QStandardPaths>
#include <QThread>
#include <memory>

namespace app {

namespace {
constexpr qint64 longestPath = 16384;
constexpr int attempts = 30; // a tenth of a second between them
}

SingleInstance::SingleInstance(QString const& libraryRoot, QObject* parent) : QObject(parent)
{
    auto const hash = QCryptographicHash::hash(libraryRoot.toUtf8(), QCryptographicHash::Sha256).toHex().left(16);
    m_name = QStringLiteral("%1/chronovisor-desktop-%2")
                 .arg(QStandardPaths::writableLocation(QStandardPaths::RuntimeLocation), QString::fromLatin1(hash));
}

bool SingleInstance::handOver(QString const& path)
{
    // Another one may have just been started and not listen yet, or be about to end.
    for (int attempt = 0; attempt < attempts; ++attempt) {
        auto lock = MachineLock::take(m_name.toStdString() + ".lock");
        if (lock) {
            m_lock = std::move(*lock);
            listen();
            return false;
        }
        if (lock.error().code != vmm::ErrorCode::Busy) {
            vmm::log(vmm::LogLevel::Warning, "desktop", "one instance only: {}", lock.error().message());
            return false;
        }
        if (send(path))
            return true;
        QThread::msleep(100);
    }
    vmm::log(vmm::LogLevel::Warning, "desktop", "another instance has the library and does not answer");
    return false;
}

bool SingleInstance::send(QString const& path) const
{
    QLocalSocket socket;
    socket.connectToServer(m_name);
    if (!socket.waitForConnected(500))
        return false;
    socket.write(path.toUtf8() + '\n');
    return socket.waitForBytesWritten(1000);
}

void SingleInstance::listen()
{
    // Ours alone, as we have the lock: what is there is left of an instance that crashed.
    QLocalServer::removeServer(m_name);
    m_server.setSocketOptions(QLocalServer::UserAccessOption);
    connect(&m_server, &QLocalServer::newConnection, this, [this] {
        auto* client = m_server.nextPendingConnection();
        auto line = std::make_shared<QByteArray>();
        connect(client, &QLocalSocket::disconnected, client, &QObject::deleteLater);
        connect(client, &QLocalSocket::readyRead, this, [this, client, line] {
            *line += client->read(longestPath - line->size());
            if (!line->contains('\n') && line->size() < longestPath)
                return;
            client->disconnectFromServer();
            emit asked(QString::fromUtf8(line->left(line->indexOf('\n'))));
        });
    });
    if (!m_server.listen(m_name))
        vmm::log(vmm::LogLevel::Warning, "desktop", "listening on {}: {}", m_name.toStdString(),
            m_server.errorString().toStdString());
}

}
