#pragma once

#include "ui/widgets/problem.h"

#include <QFrame>
#include <functional>

class QLabel;
class QPushButton;
class QToolButton;
class QPlainTextEdit;
class QHBoxLayout;

namespace ui {

/// A message within the page, where other programs would open a box: what happened, why, what to do, a button that does
/// it, details on request. Hidden while there is nothing to say.
class MessageBar final : public QFrame {
    Q_OBJECT
public:
    explicit MessageBar(QWidget* parent = nullptr);

    void showProblem(Problem const& problem, std::function<void()> remedy = {});
    /// A plain sentence, with an optional button.
    void showNotice(QString const& text, QString const& button = {}, std::function<void()> action = {});
    void dismiss();
    QString text() const;

protected:
    void changeEvent(QEvent* event) override;
    void paintEvent(QPaintEvent* event) override;
    void keyPressEvent(QKeyEvent* event) override;

private:
    void present(QString const& iconName, QString const& text, QString const& button, std::function<void()> action,
        QString const& details);
    void updateTexts();
    void updateColors();

    QString m_iconName, m_detailsText;
    QColor m_tint;
    QLabel *m_icon, *m_text;
    QPushButton *m_action, *m_details, *m_copy;
    QToolButton* m_close;
    QPlainTextEdit* m_detailsView;
    QHBoxLayout *m_row, *m_below;
    std::function<void()> m_run;
};

}
