#pragma once

#include "app/session/moment_comparison.h"
#include "app/session/moment_pictures.h"

#include <QWidget>

class QLabel;
class QPushButton;
class QTreeWidget;

namespace ui {

class ElidedLabel;

/// Two moments beside each other in the place of the screen: what both showed, and beneath it what is otherwise.
class CompareView final : public QWidget {
    Q_OBJECT
public:
    explicit CompareView(QWidget* parent = nullptr);

    using Picture = app::MomentPictures::Shared;
    /// A comparison is under way.
    void begin(QString const& before, QString const& after);
    void showPictures(Picture before, Picture after);
    void showComparison(app::MomentComparison const& comparison);
    QTreeWidget* list() const { return m_list; }

signals:
    void leaveRequested();

protected:
    void changeEvent(QEvent* event) override;
    void keyPressEvent(QKeyEvent* event) override;

private:
    class Pictures;
    void updateTexts();

    Pictures* m_pictures;
    ElidedLabel *m_title, *m_summary;
    QTreeWidget* m_list;
    QPushButton* m_leave;
};

}
