#pragma once

#include <QCheckBox>

namespace ui {

/// A check box whose words go on in another line where they have no room in one, and make nothing wider.
class WrappedCheckBox final : public QCheckBox {
    Q_OBJECT
public:
    explicit WrappedCheckBox(QWidget* parent = nullptr);

    QSize minimumSizeHint() const override;
    bool hasHeightForWidth() const override { return true; }
    int heightForWidth(int width) const override;

protected:
    void paintEvent(QPaintEvent* event) override;
    bool hitButton(QPoint const& at) const override { return rect().contains(at); }

private:
    int besideText() const; ///< what else a line holds
    int flags() const;
};

}
