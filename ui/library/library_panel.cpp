#include "ui/library/library_panel.h"

#include "ui/library/machine_delegate.h"
#include "ui/theme/icons.h"

#include <QHBoxLayout>
#include <QKeyEvent>
#include <QLabel>
#include <QLineEdit>
#include <QListView>
#include <QMenu>
#include <QPushButton>
#include <QToolButton>

namespace ui {

LibraryPanel::LibraryPanel(app::Library& library, QWidget* parent)
    : QFrame(parent),
      m_library(library),
      m_model(library),
      m_filter(new QLineEdit),
      m_menuButton(new QToolButton),
      m_noHit(new QLabel),
      m_list(new QListView),
      m_new(new QPushButton)
{
    setObjectName(QStringLiteral("sidebar"));
    m_filtered.setSourceModel(&m_model);
    m_filtered.setFilterCaseSensitivity(Qt::CaseInsensitive);
    m_filterIcon = m_filter->addAction(icon(QStringLiteral("search")), QLineEdit::LeadingPosition);
    m_filter->setClearButtonEnabled(true);
    m_filter->installEventFilter(this);
    m_menuButton->setIcon(icon(QStringLiteral("menu")));
    m_menuButton->setPopupMode(QToolButton::InstantPopup);
    m_menuButton->setFocusPolicy(Qt::StrongFocus);

    auto* delegate = new MachineDelegate(this);
    m_list->setModel(&m_filtered);
    m_list->setItemDelegate(delegate);
    m_list->setMouseTracking(true);
    m_list->setVerticalScrollMode(QAbstractItemView::ScrollPerPixel);
    m_list->setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
    m_list->setEditTriggers(QAbstractItemView::EditKeyPressed);
    m_list->setContextMenuPolicy(Qt::CustomContextMenu);
    m_list->setUniformItemSizes(true);
    m_list->setTabKeyNavigation(false);
    m_list->installEventFilter(this);
    m_list->viewport()->setAutoFillBackground(false);

    m_noHit->setWordWrap(true);
    m_noHit->setProperty("quiet", true);
    m_noHit->setContentsMargins(12, 6, 12, 6);
    auto* header = new QHBoxLayout;
    header->setContentsMargins(10, 8, 8, 6);
    header->addWidget(m_filter, 1);
    header->addWidget(m_menuButton);
    auto* footer = new QHBoxLayout;
    footer->setContentsMargins(10, 8, 10, 10);
    footer->addWidget(m_new);
    auto* layout = new QVBoxLayout(this);
    layout->setContentsMargins(0, 0, 0, 0);
    layout->setSpacing(0);
    layout->addLayout(header);
    layout->addWidget(m_noHit);
    layout->addWidget(m_list, 1);
    layout->addLayout(footer);
    setMinimumWidth(190);

    connect(m_filter, &QLineEdit::textChanged, &m_filtered, &QSortFilterProxyModel::setFilterFixedString);
    connect(m_new, &QPushButton::clicked, this, &LibraryPanel::newMachineRequested);
    connect(m_list->selectionModel(), &QItemSelectionModel::currentChanged, this, [this](QModelIndex const& index) {
        auto const id = index.data(LibraryModel::IdRole).toString();
        if (id.isEmpty() || id == m_selected)
            return;
        m_selected = id;
        emit currentChanged(id);
    });
    connect(&m_filtered, &QAbstractItemModel::modelReset, this, [this] {
        if (!m_selected.isEmpty())
            select(m_selected);
    });
    for (auto const rowsChange : { &QAbstractItemModel::rowsInserted, &QAbstractItemModel::rowsRemoved })
        connect(&m_filtered, rowsChange, this, &LibraryPanel::updateNoHit);
    connect(&m_filtered, &QAbstractItemModel::modelReset, this, &LibraryPanel::updateNoHit);
    connect(m_list, &QListView::doubleClicked, this,
        [this](QModelIndex const& index) { emit activated(index.data(LibraryModel::IdRole).toString()); });
    connect(m_list, &QListView::customContextMenuRequested, this, [this](QPoint const& at) {
        auto const index = m_list->indexAt(at);
        if (!index.isValid())
            return;
        QMenu menu(this);
        emit contextMenuRequested(index.data(LibraryModel::IdRole).toString(), &menu);
        menu.exec(m_list->viewport()->mapToGlobal(at));
    });
    connect(delegate, &MachineDelegate::cancelRequested, this, [this](QModelIndex const& index) {
        if (auto* session = m_library.session(index.data(LibraryModel::IdRole).toString()))
            session->cancelJob();
    });
    connect(&m_model, &LibraryModel::renameFailed, this, &LibraryPanel::renameFailed);
    updateTexts();
    updateNoHit();
}

void LibraryPanel::updateNoHit()
{
    auto const hasNone = m_filtered.rowCount() == 0 && m_model.rowCount() != 0;
    m_noHit->setVisible(hasNone);
    m_filter->setAccessibleDescription(hasNone ? m_noHit->text() : QString());
}

QString LibraryPanel::currentId() const
{
    return m_list->currentIndex().data(LibraryModel::IdRole).toString();
}

void LibraryPanel::select(QString const& id)
{
    auto index = m_filtered.mapFromSource(m_model.indexOf(id));
    if (!index.isValid() && m_model.indexOf(id).isValid()) {
        m_filter->clear(); // it was filtered out
        index = m_filtered.mapFromSource(m_model.indexOf(id));
    }
    if (index.isValid())
        m_list->setCurrentIndex(index);
}

void LibraryPanel::focusFilter()
{
    m_filter->setFocus(Qt::ShortcutFocusReason);
    m_filter->selectAll();
}

void LibraryPanel::focusList()
{
    m_list->setFocus(Qt::ShortcutFocusReason);
}

void LibraryPanel::renameCurrent()
{
    if (m_list->currentIndex().isValid())
        m_list->edit(m_list->currentIndex());
}

bool LibraryPanel::eventFilter(QObject* watched, QEvent* event)
{
    if (event->type() != QEvent::KeyPress)
        return QFrame::eventFilter(watched, event);
    auto const key = static_cast<QKeyEvent*>(event)->key();
    if (watched == m_filter && (key == Qt::Key_Down || key == Qt::Key_Return || key == Qt::Key_Enter)) {
        if (!m_list->currentIndex().isValid())
            m_list->setCurrentIndex(m_filtered.index(0, 0));
        focusList();
        return true;
    }
    if (watched == m_filter && key == Qt::Key_Escape) {
        m_filter->clear();
        focusList();
        return true;
    }
    // With the focus: keys that a name is edited with come here too.
    if (watched == m_list && m_list->hasFocus() && m_list->currentIndex().isValid()) {
        if (key == Qt::Key_Return || key == Qt::Key_Enter) {
            emit startRequested(currentId());
            return true;
        }
        if (key == Qt::Key_Delete) {
            emit removeRequested(currentId());
            return true;
        }
        if (key == Qt::Key_Menu) {
            QMenu menu(this);
            emit contextMenuRequested(currentId(), &menu);
            menu.exec(m_list->viewport()->mapToGlobal(m_list->visualRect(m_list->currentIndex()).center()));
            return true;
        }
    }
    return QFrame::eventFilter(watched, event);
}

void LibraryPanel::updateTexts()
{
    m_filter->setPlaceholderText(tr("Filter"));
    m_filter->setAccessibleName(tr("Filter the machines"));
    m_menuButton->setToolTip(tr("Menu (F10)"));
    m_menuButton->setAccessibleName(tr("Menu"));
    m_noHit->setText(tr("No machine has that in its name."));
    m_list->setAccessibleName(tr("Machines"));
    m_new->setText(tr("New machine…"));
    m_new->setIcon(icon(QStringLiteral("add")));
    m_new->setToolTip(tr("New machine (%1)").arg(QKeySequence(QKeySequence::New).toString(QKeySequence::NativeText)));
}

void LibraryPanel::changeEvent(QEvent* event)
{
    QFrame::changeEvent(event);
    if (event->type() == QEvent::LanguageChange)
        updateTexts();
    else if (event->type() == QEvent::PaletteChange && m_filterIcon != nullptr)
        m_filterIcon->setIcon(icon(QStringLiteral("search")));
}

}
