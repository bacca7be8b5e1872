#include "tests/support/suite.h"
#include "ui/widgets/elided_label.h"

#include <QCoreApplication>
#include <cstdlib>

class ElidedLabelTest : public QObject {
    Q_OBJECT

private slots:
    void cleanup() { QToolTip::hideText(); }

    void whatIsCutOffIsReadByPointingAtIt_data()
    {
        QTest::addColumn<int>("width");
        QTest::addColumn<QString>("own");
        QTest::addColumn<QString>("read");
        QTest::newRow("it fits") << 1000 << QString() << QString();
        QTest::newRow("it is cut off") << 40 << QString() << all;
        QTest::newRow("it has more to say") << 1000 << QString("why") << QString("why");
        QTest::newRow("cut off, and more to say") << 40 << QString("why") << QString("why");
    }
    void whatIsCutOffIsReadByPointingAtIt()
    {
        QFETCH(int, width);
        QFETCH(QString, own);
        QFETCH(QString, read);
        ui::ElidedLabel label;
        label.setText(all);
        label.setToolTip(own);
        label.resize(width, 20);
        (void)label.grab(); // painted
        QHelpEvent pointing(QEvent::ToolTip, { 5, 5 }, label.mapToGlobal(QPoint(5, 5)));
        QCoreApplication::sendEvent(&label, &pointing);
        QCOMPARE(QToolTip::text(), read);
    }

    void whatDoesNotFitIsSaidShorter()
    {
        ui::ElidedLabel label, other;
        label.setText(all);
        QStringList const shorter { "All of a sentence", "All" };
        label.setShorter(shorter);
        other.setText(shorter.last());
        QVERIFY(std::abs(label.sizeHint().width() - other.sizeHint().width()) <= 1); // lengths are rounded
        auto const length = [&](QString const& text) { return label.fontMetrics().horizontalAdvance(text); };
        for (auto const& [width, shown] :
            { std::pair(length(all), all), { length(all) - 1, shorter[0] }, { length(shorter[0]) - 1, shorter[1] } }) {
            for (auto* one : { &label, &other })
                one->resize(width, 20);
            other.setText(shown);
            QCOMPARE(label.grab().toImage(), other.grab().toImage());
        }
        QCOMPARE(label.text(), all); // as it is read aloud
    }

private:
    static inline QString const all = QStringLiteral("All of a sentence that is longer than the place for it");
};

REGISTER_SUITE(ElidedLabelTest);
#include "elided_label_test.moc"
