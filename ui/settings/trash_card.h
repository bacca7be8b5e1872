#pragma once

#include "app/library/library.h"
#include "ui/widgets/problem.h"

#include <QWidget>

class QLabel;
class QProgressBar;
class QPushButton;

namespace ui {

class MessageBar;

/// The machines in the trash: each can be brought back, and all can be deleted for good, after a question in place;
/// how far that is, and a way to cancel it, is there too.
class TrashCard final : public QWidget {
    Q_OBJECT
public:
    explicit TrashCard(app::Library& library, QWidget* parent = nullptr);

protected:
    void changeEvent(QEvent* event) override;
    void showEvent(QShowEvent* event) override;
    void keyPressEvent(QKeyEvent* event) override;

private:
    void look();
    void fillRows();
    void bringBack(QString const& place, Task task);
    void setAsking(bool asks);
    void empty();
    void updateTexts();

    app::Library& m_library;
    std::vector<app::RemovedMachine> m_removed;
    quint64 m_bytes = 0;
    bool m_isEmptying = false;
    MessageBar* m_messages;
    QLabel *m_summary, *m_warning;
    QWidget *m_rows, *m_question, *m_work;
    QProgressBar* m_progress;
    QPushButton *m_empty, *m_keep, *m_delete, *m_cancel;
};

}
