#include "tests/support/suite.h"
#include "ui/widgets/wrapped_check_box.h"

#include <QTest>
#include <QVBoxLayout>

class WrappedCheckBoxTest final : public QObject {
    Q_OBJECT
private slots:
    void wordsGoOnInAnotherLineWhereTheyHaveNoRoom()
    {
        ui::WrappedCheckBox box;
        box.setText("Keep a moment before its settings change, or its suspended state is thrown away");
        auto const whole = box.sizeHint();
        QCOMPARE(box.heightForWidth(whole.width()), whole.height());
        auto const half = whole.width() / 2;
        QVERIFY(box.minimumSizeHint().width() <= half);
        QVERIFY(box.heightForWidth(half) > whole.height());
        box.resize(half, box.heightForWidth(half));
        auto const picture = box.grab().toImage();
        auto const isBlank = [&](int y) {
            for (int x = picture.width() / 4; x < picture.width() / 2; ++x) {
                if (picture.pixel(x, y) != picture.pixel(0, 0))
                    return false;
            }
            return true;
        };
        bool below = false; // the words that had no room in the first line
        for (int y = picture.height() * 2 / 3; y < picture.height(); ++y)
            below = below || !isBlank(y);
        QVERIFY(below);
        // And they are clicked like the others.
        QTest::mouseClick(&box, Qt::LeftButton, {}, box.rect().bottomRight() - QPoint(3, 3));
        QVERIFY(box.isChecked());
    }

    void aLayoutGivesItTheLinesThatItNeeds()
    {
        QWidget page;
        auto* layout = new QVBoxLayout(&page);
        auto* box = new ui::WrappedCheckBox;
        box->setText("Keep a moment before its settings change, or its suspended state is thrown away");
        layout->addWidget(box);
        layout->addStretch(1);
        page.resize(box->sizeHint().width() / 2, 300);
        page.show();
        QVERIFY(QTest::qWaitForWindowExposed(&page));
        QVERIFY(box->height() > box->sizeHint().height());
        QCOMPARE(box->height(), box->heightForWidth(box->width()));
    }
};

REGISTER_SUITE(WrappedCheckBoxTest);
#include "wrapped_check_box_test.moc"
