#include "app/desktop/single_instance.h"

#include <QCryptographicHash>
#include <QLocalSocket>
#include <QStandardPaths>
#include <memory>

namespace app {

namespace {
constexpr qint64 longestPath = 16384;
}

SingleInstance::SingleInstance(QString const& libraryRoot, QObject* parent) : QObject(parent)
{
    auto const hash = QCryptographicHash::hash(libraryRoot.toUtf8(), QCryptographicHash::Sha256).toHex().left(16);
    m_name = QStringLiteral("%1/chronovisor-desktop-%2")
                 .arg(QStandardPaths::writableLocation(QStandardPaths::RuntimeLocation), QString::fromLatin1(hash));
}

bool SingleInstance::handOver(QString const& path)
{
    QLocalSocket socket;
    socket.connectToServer(m_name);
    if (socket.waitForConnected(500)) {
        socket.write(path.toUtf8() + '\n');
        return socket.waitForBytesWritten(1000);
    }
    // Nobody answers: what is left of an instance that crashed.
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
    m_server.listen(m_name);
    return false;
}

}
