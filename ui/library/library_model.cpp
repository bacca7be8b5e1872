#include "ui/library/library_model.h"

#include "ui/widgets/guarded.h"
#include "ui/widgets/words.h"

#include <QLocale>

namespace ui {

namespace {

std::optional<app::Job> jobOf(app::VmSession const& session)
{
    return session.job() ? session.job() : session.work();
}

}

LibraryModel::LibraryModel(app::Library& library, QObject* parent) : QAbstractListModel(parent), m_library(library)
{
    connect(&library, &app::Library::machineAdded, this, &LibraryModel::reload);
    connect(&library, &app::Library::machineRemoved, this, &LibraryModel::reload);
    connect(&library, &app::Library::machineChanged, this, [this](QString const& id) {
        if (m_library.ids() != m_ids) {
            reload(); // a new name may be a new place
            return;
        }
        watch(id); // a machine that could not be read may have a session now
        takeThumbnail(id);
        changed(id);
    });
    connect(&library, &app::Library::machineStateChanged, this, [this](QString const& id) {
        takeThumbnail(id);
        changed(id);
    });
    m_measureTimer.setInterval(1000);
    connect(&m_measureTimer, &QTimer::timeout, this, &LibraryModel::measure);
    m_measureTimer.start();
    reload();
}

void LibraryModel::reload()
{
    beginResetModel();
    m_ids = m_library.ids();
    std::erase_if(m_rows, [this](auto const& row) { return !m_ids.contains(row.first); });
    endResetModel();
    for (auto const& id : std::as_const(m_ids)) {
        auto const isNew = !m_rows.contains(id);
        watch(id);
        if (isNew)
            takeThumbnail(id);
    }
}

void LibraryModel::watch(QString const& id)
{
    auto& row = m_rows[id];
    for (auto const& connection : row.connections)
        disconnect(connection);
    row.connections.clear();
    auto* session = m_library.session(id);
    if (session == nullptr)
        return;
    auto update = [this, id] { changed(id); };
    row.connections.push_back(connect(session, &app::VmSession::jobProgressed, this, update));
    row.connections.push_back(connect(session, &app::VmSession::jobEnded, this, update));
    row.connections.push_back(connect(session, &app::VmSession::workChanged, this, update));
    if (auto* screen = session->mainScreen()) {
        screen->setThumbnails(true, { 320, 200 });
        row.connections.push_back(connect(screen, &app::ScreenSession::thumbnailChanged, this, [this, id] {
            takeThumbnail(id);
            changed(id);
        }));
    }
}

void LibraryModel::takeThumbnail(QString const& id)
{
    auto& row = m_rows[id];
    auto* session = m_library.session(id);
    if (session != nullptr && app::isInMemory(session->state()) && session->mainScreen() != nullptr) {
        row.thumbnail = imageOf(session->mainScreen()->thumbnail());
        row.isLive = !row.thumbnail.isNull();
        if (row.isLive)
            return;
    }
    // What was just seen is newer than the file, which is still to be written; that is told as a change.
    if (std::exchange(row.isLive, false))
        return;
    m_library.lastPicture(id, guarded(this, [this, id](vmm::Result<app::Picture> const& picture) {
        auto const known = m_rows.find(id);
        auto const* shown = m_library.session(id);
        if (!picture || known == m_rows.end() || (shown != nullptr && app::isInMemory(shown->state())))
            return;
        known->second.thumbnail = imageOf(*picture);
        changed(id);
    }));
}

QImage LibraryModel::imageOf(app::Picture const& picture)
{
    if (picture.isNull())
        return {};
    auto const width = static_cast<int>(picture.width), height = static_cast<int>(picture.height);
    return QImage(reinterpret_cast<uchar const*>(picture.pixels.data()), width, height, width * 4, QImage::Format_RGB32)
        .copy();
}

int LibraryModel::rowCount(QModelIndex const& parent) const
{
    return parent.isValid() ? 0 : static_cast<int>(m_ids.size());
}

QString LibraryModel::statusOf(QString const& id) const
{
    auto const entry = m_library.entry(id);
    auto const* session = m_library.session(id);
    if (!entry || entry->problem || session == nullptr)
        return tr("Cannot be read");
    if (entry->otherOwner)
        return otherOwnerWord(*entry->otherOwner);
    if (auto const job = jobOf(*session))
        return jobWord(job->name);
    if (session->state() == app::SessionState::Running) {
        auto const row = m_rows.find(id);
        auto const usage = row == m_rows.end() ? 0.0 : row->second.usage;
        return tr("%1 · %2 %").arg(stateWord(session->state()), QLocale().toString(qRound(usage * 100)));
    }
    return stateWord(session->state());
}

QVariant LibraryModel::data(QModelIndex const& index, int role) const
{
    if (!index.isValid() || index.row() >= m_ids.size())
        return {};
    auto const& id = m_ids[index.row()];
    auto const row = m_rows.find(id);
    auto const* session = m_library.session(id);
    switch (role) {
    case IdRole: return id;
    case Qt::DisplayRole:
    case Qt::EditRole: {
        auto const entry = m_library.entry(id);
        return entry ? entry->name : id;
    }
    case StateRole: return static_cast<int>(session != nullptr ? session->state() : app::SessionState::Off);
    case ThumbnailRole: return row == m_rows.end() ? QImage() : row->second.thumbnail;
    case ProgressRole: {
        auto const job = session != nullptr ? jobOf(*session) : std::nullopt;
        return job ? QVariant(job->fraction) : QVariant();
    }
    case UsageRole: return row == m_rows.end() ? 0.0 : row->second.usage;
    case ProblemRole: {
        auto const entry = m_library.entry(id);
        return entry && entry->problem.has_value();
    }
    case StatusRole: return statusOf(id);
    case Qt::ToolTipRole:
    case Qt::AccessibleTextRole:
        return QStringLiteral("%1, %2").arg(data(index, Qt::DisplayRole).toString(), statusOf(id));
    default: return {};
    }
}

bool LibraryModel::setData(QModelIndex const& index, QVariant const& value, int role)
{
    auto const name = value.toString().trimmed();
    if (role != Qt::EditRole || !index.isValid() || name.isEmpty() || name == data(index, role).toString())
        return false;
    auto const id = m_ids[index.row()];
    m_library.rename(id, name, guarded(this, [this, id](vmm::Result<> const& outcome) {
        if (!outcome)
            emit renameFailed(id, outcome.error());
    }));
    return true;
}

Qt::ItemFlags LibraryModel::flags(QModelIndex const& index) const
{
    return QAbstractListModel::flags(index) | Qt::ItemIsEditable;
}

QModelIndex LibraryModel::indexOf(QString const& id) const
{
    auto const row = m_ids.indexOf(id);
    return row < 0 ? QModelIndex() : index(static_cast<int>(row));
}

void LibraryModel::changed(QString const& id)
{
    if (auto const index = indexOf(id); index.isValid())
        emit dataChanged(index, index);
}

void LibraryModel::measure()
{
    for (auto const& id : std::as_const(m_ids)) {
        auto* session = m_library.session(id);
        auto& row = m_rows[id];
        if (session == nullptr || session->state() != app::SessionState::Running) {
            row.cpuNanoseconds = 0;
            continue;
        }
        auto const statistics = session->statistics();
        if (!statistics)
            continue;
        auto const now = statistics->cpuNanoseconds;
        if (row.cpuNanoseconds != 0 && now >= row.cpuNanoseconds)
            row.usage = static_cast<double>(now - row.cpuNanoseconds) / 1e9 / session->config().cpus;
        row.cpuNanoseconds = now;
        changed(id);
    }
}

}
