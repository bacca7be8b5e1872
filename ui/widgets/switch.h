#pragma once

#include <QCheckBox>

namespace ui {

/// A check box that looks as a switch: what it stands for happens at once.
class Switch final : public QCheckBox {
    Q_OBJECT
public:
    explicit Switch(QWidget* parent = nullptr);

    QSize sizeHint() const override;
    QSize minimumSizeHint() const override { return sizeHint(); }

protected:
    void paintEvent(QPaintEvent* event) override;
    bool hitButton(QPoint const& at) const override { return rect().contains(at); }
};

}
