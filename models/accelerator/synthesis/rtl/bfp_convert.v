// K numbers of the format (1, E, M) brought to one exponent, the largest among them: integers in
// units of 2^(exponent - bias - FRACTION), in two's complement, saturating where the largest
// rounds up out of its binade.
module bfp_convert #(
    parameter K = 4,
    parameter E = 5,
    parameter M = 10,
    parameter SUBNORMALS = 1,
    parameter FRACTION = 3,
    parameter ROUNDING = 0,  // 0 nearest, ties to even; 1 toward zero; 2 stochastic
    parameter R = 1          // random bits of a stochastic rounding, for each number
) (
    input [K*(E+M+1)-1:0] x,
    input [K*R-1:0] random,
    output [E-1:0] exponent,  // biased; that of the smallest normal number where all are zero
    output [K*(FRACTION+2)-1:0] y
);
    localparam B = E + M + 1;
    localparam W = FRACTION + 2;
    localparam X = (E > $clog2(FRACTION + 1) ? E : $clog2(FRACTION + 1)) + 2;
    wire [K*(E+1)-1:0] fields;  // with a sign, which is never set
    genvar k;
    generate
        for (k = 0; k < K; k = k + 1) begin : lane
            wire sign;
            wire [E-1:0] field;
            wire [M:0] significand;
            fp_unpack #(.E(E), .M(M), .SUBNORMALS(SUBNORMALS)) unpack (
                .code(x[k*B+:B]), .sign(sign), .exponent(field), .significand(significand)
            );
            assign fields[k*(E+1)+:E+1] = field;
            wire signed [X-1:0] shift = field - exponent + FRACTION;
            fixed_round #(.P(M + 1), .X(X), .W(W), .ROUNDING(ROUNDING), .R(R)) round (
                .sign(sign), .significand(significand), .shift(shift),
                .random(random[k*R+:R]), .y(y[k*W+:W])
            );
        end
    endgenerate
    wire [E:0] largest;
    signed_max #(.K(K), .W(E + 1)) find (.terms(fields), .largest(largest));
    assign exponent = largest[E-1:0];
endmodule
