#include "tests/support/suite.h"
#include "ui/widgets/elided_label.h"
#include "ui/widgets/flow_layout.h"

#include <QApplication>
#include <QTest>
#include <QVBoxLayout>

namespace {

/// A row in a page, whose parts have these widths and are all of one height.
struct Row {
    explicit Row(std::initializer_list<int> widths) : layout(new ui::FlowLayout(row))
    {
        auto* column = new QVBoxLayout(&page);
        column->setContentsMargins(0, 0, 0, 0);
        column->addWidget(row);
        column->addStretch(1);
        layout->setContentsMargins(0, 0, 0, 0);
        layout->setSpacing(10);
        for (auto const width : widths)
            layout->addWidget(part(width));
    }
    QWidget* part(int width)
    {
        auto* made = new QWidget;
        made->setFixedSize(width, height);
        parts += made;
        return made;
    }
    void show(int width)
    {
        page.resize(width, 300);
        page.show();
        [&] { QVERIFY(QTest::qWaitForWindowExposed(&page)); }();
        QCoreApplication::sendPostedEvents(nullptr, QEvent::LayoutRequest);
    }
    QPoint at(int index) const { return parts[index]->pos(); }

    static constexpr int height = 20;
    QWidget page;
    QWidget* row = new QWidget;
    ui::FlowLayout* layout;
    QList<QWidget*> parts;
};

}

class FlowLayoutTest final : public QObject {
    Q_OBJECT
private slots:
    void whatHasNoRoomGoesOnInAnotherLine()
    {
        Row row { 100, 100, 100 };
        QCOMPARE(row.layout->minimumSize().width(), 100);
        QCOMPARE(row.layout->sizeHint().width(), 320);
        row.show(320);
        QCOMPARE(row.at(1), QPoint(110, 0));
        QCOMPARE(row.at(2), QPoint(220, 0));
        QCOMPARE(row.row->height(), Row::height);
        row.show(319);
        QCOMPARE(row.at(1), QPoint(110, 0));
        QCOMPARE(row.at(2), QPoint(0, Row::height + 10));
        QCOMPARE(row.row->height(), 2 * Row::height + 10);
        row.parts[1]->hide(); // what is not seen takes no room
        QTRY_COMPARE(row.at(2), QPoint(110, 0));
    }

    void aNameTakesWhatIsLeftAndGivesWay()
    {
        Row row {};
        auto* name = new ui::ElidedLabel;
        name->setText(QString(300, 'n'));
        row.layout->addWidget(name, 1);
        row.layout->addWidget(row.part(100));
        row.layout->addWidget(row.part(80));
        row.show(500);
        QCOMPARE(name->width(), 300); // of what it asks for
        QCOMPARE(row.at(1), QPoint(420, 0));
        // Rather than less than enough of it is seen, the last part goes, to where the first line ends.
        row.show(330);
        QCOMPARE(name->width(), 220);
        QCOMPARE(row.at(0), QPoint(230, row.at(0).y()));
        QCOMPARE(row.at(1).x(), 250);
        QVERIFY(row.at(1).y() > row.at(0).y());
        QVERIFY(row.layout->minimumSize().width() <= 100);
    }

    void fromTheRightWhereThatIsHowOneReads()
    {
        Row row { 100, 50 };
        row.page.setLayoutDirection(Qt::RightToLeft);
        row.show(400);
        QCOMPARE(row.at(0), QPoint(300, 0));
        QCOMPARE(row.at(1), QPoint(240, 0));
    }
};

REGISTER_SUITE(FlowLayoutTest);
#include "flow_layout_test.moc"
