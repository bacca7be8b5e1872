#pragma once

#include "app/library/library.h"

#include <QAbstractListModel>
#include <QImage>
#include <QTimer>
#include <map>

namespace ui {

/// The person's machines as a list: name, state, live thumbnail, processor use, progress. GUI thread only.
class LibraryModel final : public QAbstractListModel {
    Q_OBJECT
public:
    enum Role { IdRole = Qt::UserRole, StateRole, ThumbnailRole, ProgressRole, ProblemRole, UsageRole, StatusRole };

    explicit LibraryModel(app::Library& library, QObject* parent = nullptr);

    int rowCount(QModelIndex const& parent = {}) const override;
    QVariant data(QModelIndex const& index, int role) const override;
    bool setData(QModelIndex const& index, QVariant const& value, int role) override;
    Qt::ItemFlags flags(QModelIndex const& index) const override;

    QModelIndex indexOf(QString const& id) const;
    QString idAt(QModelIndex const& index) const { return data(index, IdRole).toString(); }

    static QImage imageOf(app::Picture const& picture);

signals:
    void renameFailed(QString id, vmm::Error error);

private:
    struct Row {
        QImage thumbnail;
        bool isLive = false; // it is from the machine's screen
        double usage = 0;    // of all its processors, 0 to 1
        std::uint64_t cpuNanoseconds = 0;
        std::vector<QMetaObject::Connection> connections;
    };

    void reload();
    void watch(QString const& id);
    void changed(QString const& id);
    void takeThumbnail(QString const& id);
    void measure();
    QString statusOf(QString const& id) const;

    app::Library& m_library;
    QStringList m_ids;
    std::map<QString, Row> m_rows;
    QTimer m_measureTimer;
};

}
