// round(accumulator + addend), the addend of a format of its own (1, EA, MA).
module fp_add_to #(
    parameter EA = 4,
    parameter MA = 3,
    parameter SUBNORMALSA = 1,
    parameter E = 5,
    parameter M = 10,
    parameter SUBNORMALS = 1,
    parameter BIAS = -8,     // bias A - the accumulator's
    parameter ROUNDING = 0,  // 0 nearest, ties to even; 1 toward zero; 2 stochastic
    parameter R = 1          // random bits of a stochastic rounding
) (
    input [EA+MA:0] addend,
    input [E+M:0] accumulator,
    input [R-1:0] random,
    output [E+M:0] sum
);
    localparam C = $clog2(MA + 1) > 0 ? $clog2(MA + 1) : 1;
    localparam SPAN = BIAS < 0 ? -BIAS : BIAS;
    localparam X = (EA + C > $clog2(SPAN + 1) ? EA + C : $clog2(SPAN + 1)) + 2;
    // subnormal numbers of the accumulator's own lowest grid, or a finer one, may stay as they are
    localparam NORMALISE = SUBNORMALSA && BIAS < 0;

    wire sign;
    wire [EA-1:0] field;
    wire [MA:0] significand;
    fp_unpack #(.E(EA), .M(MA), .SUBNORMALS(SUBNORMALSA)) unpack (
        .code(addend), .sign(sign), .exponent(field), .significand(significand)
    );
    wire [C-1:0] zeros;
    generate
        if (NORMALISE) begin : any
            wire none;
            leading_zeros #(.W(MA + 1)) count (.x(significand), .count(zeros), .none(none));
        end else begin : as_it_is
            assign zeros = {C{1'b0}};
        end
    endgenerate
    wire signed [X-1:0] exponent = field - $signed({1'b0, zeros}) - BIAS;
    wire [MA:0] normalised = significand << zeros;
    fp_accumulate #(
        .E(E), .M(M), .SUBNORMALS(SUBNORMALS), .ROUNDING(ROUNDING), .R(R), .P(MA + 1), .X(X)
    ) accumulate (
        .accumulator(accumulator), .sign(sign), .exponent(exponent), .significand(normalised),
        .random(random), .sum(sum)
    );
endmodule
