#include "ui/timeline/compare_view.h"

#include "ui/theme/theme.h"
#include "ui/widgets/elided_label.h"
#include "ui/widgets/words.h"

#include <QBoxLayout>
#include <QHeaderView>
#include <QKeyEvent>
#include <QPainter>
#include <QProgressBar>
#include <QPushButton>
#include <QTreeWidget>

namespace ui {

/// The earlier one at the left.
class CompareView::Pictures final : public QWidget {
public:
    Picture before, after;

    Pictures() { setMinimumHeight(80); }

protected:
    void paintEvent(QPaintEvent*) override
    {
        QPainter painter(this);
        auto const window = palette().color(QPalette::Window);
        painter.fillRect(rect(), window.darker(window.lightness() < 128 ? 140 : 106));
        painter.setRenderHint(QPainter::SmoothPixmapTransform);
        constexpr int gap = 10;
        auto const width = (this->width() - 3 * gap) / 2;
        paint(painter, before, QRect(gap, gap, width, height() - 2 * gap));
        paint(painter, after, QRect(2 * gap + width, gap, width, height() - 2 * gap));
    }

private:
    void paint(QPainter& painter, Picture const& picture, QRect room) const
    {
        if (!picture || picture->isNull()) {
            painter.setPen(themeColors().border);
            painter.drawRect(room.adjusted(0, 0, -1, -1));
            return;
        }
        QImage const image(reinterpret_cast<uchar const*>(picture->pixels.data()), static_cast<int>(picture->width),
            static_cast<int>(picture->height), static_cast<int>(picture->width * 4), QImage::Format_RGB32);
        auto const size = image.size().scaled(room.size(), Qt::KeepAspectRatio);
        painter.drawImage(QRect(room.center() - QPoint(size.width() / 2, size.height() / 2), size), image);
    }
};

CompareView::CompareView(QWidget* parent)
    : QWidget(parent),
      m_pictures(new Pictures),
      m_title(new ElidedLabel),
      m_summary(new ElidedLabel(ElidedLabel::Tone::Quiet)),
      m_list(new QTreeWidget),
      m_progress(new QProgressBar),
      m_stop(new QPushButton),
      m_leave(new QPushButton)
{
    auto font = m_title->font();
    font.setWeight(QFont::DemiBold);
    m_title->setFont(font);
    m_list->setColumnCount(3);
    m_list->setFrameShape(QFrame::NoFrame);
    m_list->setUniformRowHeights(true);
    m_list->setEditTriggers(QAbstractItemView::NoEditTriggers);
    m_list->header()->setSectionResizeMode(0, QHeaderView::ResizeToContents);
    auto* words = new QVBoxLayout;
    words->setSpacing(1);
    words->addWidget(m_title);
    words->addWidget(m_summary);
    auto* caption = new QHBoxLayout;
    caption->setContentsMargins(16, 8, 12, 8);
    caption->setSpacing(12);
    caption->addLayout(words, 1);
    caption->addWidget(m_progress);
    caption->addWidget(m_stop);
    caption->addWidget(m_leave);
    auto* layout = new QVBoxLayout(this);
    layout->setContentsMargins(0, 0, 0, 0);
    layout->setSpacing(0);
    layout->addWidget(m_pictures, 3);
    layout->addLayout(caption);
    layout->addWidget(m_list, 2);
    m_progress->setTextVisible(false);
    m_progress->setRange(0, 1000);
    m_progress->setMaximumWidth(160);
    m_stop->setProperty("link", true);
    connect(m_stop, &QPushButton::clicked, this, [this] {
        setDisks(Disks::Stopped);
        emit stopRequested();
    });
    connect(m_leave, &QPushButton::clicked, this, &CompareView::leaveRequested);
    updateTexts();
}

void CompareView::begin(QString const& before, QString const& after)
{
    m_list->clear();
    m_list->setHeaderLabels({ tr("What"), before, after });
    m_title->setText(tr("From “%1” to “%2”").arg(before, after));
    m_summary->setText(tr("Comparing …"));
    m_parts = -1;
    m_diskBytes = 0;
    m_isCut = false;
    showDiskProgress(0);
    setAccessibleName(m_title->text());
}

void CompareView::showPictures(Picture before, Picture after)
{
    m_pictures->before = std::move(before);
    m_pictures->after = std::move(after);
    m_pictures->update();
}

void CompareView::showComparison(app::MomentComparison const& comparison)
{
    using Presence = app::MomentComparison::Part::Presence;
    m_list->clear();
    for (auto const& part : comparison.parts) {
        auto* item = new QTreeWidgetItem(m_list, { part.id.isEmpty() ? tr("Configuration") : part.id });
        if (part.presence == Presence::Added)
            item->setText(2, tr("is new"));
        else if (part.presence == Presence::Removed)
            item->setText(1, tr("is not there any more"));
        else
            item->setText(2, tr("%n difference(s)", nullptr, static_cast<int>(part.fields.size())));
        for (auto const& field : part.fields)
            new QTreeWidgetItem(item, { field.path, field.before, field.after });
    }
    m_memoryBytes = comparison.memoryBytes;
    m_parts = static_cast<int>(comparison.parts.size());
    m_isCut = comparison.isCut;
    updateSummary();
}

void CompareView::showDiskProgress(double fraction)
{
    m_progress->setValue(qRound(fraction * 1000));
    setDisks(Disks::Coming);
}

void CompareView::showDisks(std::vector<app::DiskComparison> const& disks)
{
    for (auto const& disk : disks) {
        addDisk(disk);
        m_diskBytes += disk.changedBytes;
        m_isCut = m_isCut || disk.isCut;
    }
    setDisks(Disks::Here);
    updateSummary();
}

void CompareView::addDisk(app::DiskComparison const& disk)
{
    auto* item = new QTreeWidgetItem(m_list, { tr("What %1 holds").arg(disk.id) });
    if (!disk.problem.isEmpty()) {
        item->setText(2, tr("cannot be compared"));
        addDetails(item, disk.problem);
        return;
    }
    item->setText(2, tr("%1 changed").arg(bytesText(disk.changedBytes)));
    if (disk.before != disk.after)
        new QTreeWidgetItem(item, { tr("Size"), bytesText(disk.before), bytesText(disk.after) });
    for (auto const& part : disk.partitions)
        addFiles(item, part);
    auto* blocks = new QTreeWidgetItem(item, { tr("Blocks") });
    blocks->setText(2, tr("%n place(s)", nullptr, static_cast<int>(disk.runs.size())));
    for (auto const& run : disk.runs) {
        auto* place = new QTreeWidgetItem(blocks, { tr("from %1").arg(QStringLiteral("0x%1").arg(run.offset, 0, 16)) });
        place->setText(2, bytesText(run.bytes));
    }
    item->setExpanded(true);
}

void CompareView::addFiles(QTreeWidgetItem* disk, app::DiskComparison::Partition const& part)
{
    using What = app::DiskComparison::File::What;
    auto* item
        = new QTreeWidgetItem(disk, { part.number == 0 ? tr("Files") : tr("Files of partition %1").arg(part.number) });
    item->setText(
        2, part.problem.isEmpty() ? tr("%n file(s)", nullptr, static_cast<int>(part.count)) : tr("cannot be told"));
    if (!part.problem.isEmpty())
        addDetails(item, part.problem);
    for (auto const& file : part.files) {
        auto const size
            = [](bool there, quint64 bytes, QString const& otherwise) { return there ? bytesText(bytes) : otherwise; };
        new QTreeWidgetItem(item,
            { file.path, size(file.what != What::Added, file.before, tr("is not there")),
                size(file.what != What::Removed, file.after, tr("is not there any more")) });
    }
    item->setExpanded(part.problem.isEmpty() && part.files.size() <= 50);
}

/// The log's words, for who opens the row.
void CompareView::addDetails(QTreeWidgetItem* to, QString const& problem)
{
    new QTreeWidgetItem(to, { tr("Details"), {}, problem });
}

void CompareView::setDisks(Disks disks)
{
    m_disks = disks;
    m_progress->setVisible(disks == Disks::Coming);
    m_stop->setVisible(disks == Disks::Coming);
    if (m_parts >= 0 && disks == Disks::Stopped)
        updateSummary();
}

void CompareView::updateSummary()
{
    auto const memory = bytesText(m_memoryBytes);
    auto summary = m_disks == Disks::Here
        ? tr("%1 of memory, %2 of the disks and %n part(s) of the machine differ.", nullptr, m_parts)
              .arg(memory, bytesText(m_diskBytes))
        : tr("%1 of memory and %n part(s) of the machine differ.", nullptr, m_parts).arg(memory);
    if (m_disks == Disks::Coming)
        summary += QLatin1Char(' ') + tr("The disks are being compared …");
    if (m_disks == Disks::Stopped)
        summary += QLatin1Char(' ') + tr("The disks are not compared.");
    if (m_isCut)
        summary += QLatin1Char(' ') + tr("There is more than is shown; “chronoctl moment diff” has all.");
    m_summary->setText(summary);
    setAccessibleDescription(summary);
}

void CompareView::keyPressEvent(QKeyEvent* event)
{
    if (event->key() == Qt::Key_Escape)
        emit leaveRequested();
    else
        QWidget::keyPressEvent(event);
}

void CompareView::updateTexts()
{
    m_leave->setText(tr("Done"));
    m_stop->setText(tr("Cancel"));
    m_stop->setAccessibleName(tr("Cancel comparing the disks"));
    m_progress->setAccessibleName(tr("Comparing the disks"));
    m_list->setAccessibleName(tr("What differs"));
}

void CompareView::changeEvent(QEvent* event)
{
    QWidget::changeEvent(event);
    if (event->type() == QEvent::LanguageChange)
        updateTexts();
}

}
