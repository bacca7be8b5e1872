#pragma once

#include <QWidget>

class QLabel;
class QPushButton;

namespace ui {

/// What somebody sees who has no machine yet.
class EmptyPage final : public QWidget {
    Q_OBJECT
public:
    explicit EmptyPage(bool hasDemo, QWidget* parent = nullptr);

signals:
    void newMachineRequested();
    void demoRequested();

protected:
    void changeEvent(QEvent* event) override;

private:
    void updateTexts();
    QLabel *m_picture, *m_title, *m_text;
    QPushButton *m_new, *m_demo;
};

}
