#pragma once

#include "ui/library/library_model.h"

#include <QFrame>
#include <QSortFilterProxyModel>

class QLabel;
class QLineEdit;
class QListView;
class QPushButton;
class QToolButton;
class QMenu;

namespace ui {

/// The left side of the window: the machines, a filter, and the way to a new one.
class LibraryPanel final : public QFrame {
    Q_OBJECT
public:
    LibraryPanel(app::Library& library, QWidget* parent = nullptr);

    QString currentId() const;
    void select(QString const& id);
    void focusFilter();
    void focusList();
    void renameCurrent();
    QListView* list() const { return m_list; }
    QToolButton* menuButton() const { return m_menuButton; }

signals:
    void currentChanged(QString id);
    void activated(QString id);      ///< double click
    void startRequested(QString id); ///< Enter: start it, or go to it
    void newMachineRequested();
    /// Fill `menu` for this machine.
    void contextMenuRequested(QString id, QMenu* menu);
    void removeRequested(QString id);
    void renameFailed(QString id, vmm::Error error);

protected:
    void changeEvent(QEvent* event) override;
    bool eventFilter(QObject* watched, QEvent* event) override;

private:
    void updateTexts();
    void updateNoHit();

    app::Library& m_library;
    LibraryModel m_model;
    QSortFilterProxyModel m_filtered;
    QLineEdit* m_filter;
    QToolButton* m_menuButton;
    QLabel* m_noHit;
    QListView* m_list;
    QPushButton* m_new;
    QAction* m_filterIcon;
    QString m_selected; // survives a reset of the model
};

}
