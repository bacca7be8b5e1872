#pragma once

#include "app/session/moment_comparison.h"
#include "app/session/moment_pictures.h"

#include <QWidget>

class QLabel;
class QPushButton;
class QProgressBar;
class QTreeWidget;
class QTreeWidgetItem;

namespace ui {

class ElidedLabel;

/// Two moments beside each other in the place of the screen: what both showed, and beneath it what is otherwise. The
/// disks come last, as they take longest.
class CompareView final : public QWidget {
    Q_OBJECT
public:
    explicit CompareView(QWidget* parent = nullptr);

    using Picture = app::MomentPictures::Shared;
    /// A comparison is under way.
    void begin(QString const& before, QString const& after);
    void showPictures(Picture before, Picture after);
    void showComparison(app::MomentComparison const& comparison);
    void showDiskProgress(double fraction);
    void showDisks(std::vector<app::DiskComparison> const& disks);
    QTreeWidget* list() const { return m_list; }

signals:
    void leaveRequested();
    /// The disks shall not be compared any further.
    void stopRequested();

protected:
    void changeEvent(QEvent* event) override;
    void keyPressEvent(QKeyEvent* event) override;

private:
    enum class Disks : std::uint8_t { Coming, Stopped, Here };
    class Pictures;
    void addFiles(QTreeWidgetItem* disk, app::DiskComparison::Partition const& part);
    void addDetails(QTreeWidgetItem* to, QString const& problem);
    void addDisk(app::DiskComparison const& disk);
    void setDisks(Disks disks);
    void updateSummary();
    void updateTexts();

    Pictures* m_pictures;
    ElidedLabel *m_title, *m_summary;
    QTreeWidget* m_list;
    QProgressBar* m_progress;
    QPushButton *m_stop, *m_leave;
    Disks m_disks = Disks::Coming;
    int m_parts = -1; // that differ; -1: not known yet
    quint64 m_memoryBytes = 0, m_diskBytes = 0;
    bool m_isCut = false;
};

}
